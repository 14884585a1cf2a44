"""Small TFDS sets, written as TFDS writes them."""

import io
import json

import numpy as np
import PIL.Image
from array_record.python import array_record_module
from tensorflow_datasets.proto import tf_example_pb2

from pwl_jax.data.sources import load_dataset

FEATURES = "tensorflow_datasets.core.features"
CLASSES = 3


def encoded(image, form="PNG", **options):
  """Bytes of an image file; of a Pillow image or an array."""
  if isinstance(image, np.ndarray):
    image = PIL.Image.fromarray(image.squeeze())
  buffer = io.BytesIO()
  image.save(buffer, form, **options)
  return buffer.getvalue()


def record(image, label):
  example = tf_example_pb2.Example()
  features = example.features.feature
  data = image if isinstance(image, bytes) else encoded(image)
  features["image"].bytes_list.value.append(data)
  features["label"].int64_list.value.append(int(label))
  return example.SerializeToString()


def write_set(data_dir, splits, *, shape=(6, 5, 3), shards=1, form=None):
  """A set named toy; `splits` are images, as arrays or bytes, and labels."""
  folder = data_dir / "toy" / "1.0.0"
  folder.mkdir(parents=True)
  lengths = {}
  for split, (images, labels) in splits.items():
    parts = np.array_split(np.arange(len(labels)), shards)
    lengths[split] = [len(part) for part in parts]
    for i, part in enumerate(parts):
      name = f"toy-{split}.array_record-{i:05}-of-{shards:05}"
      writer = array_record_module.ArrayRecordWriter(
        str(folder / name), "group_size:1"
      )
      for row in part:
        writer.write(record(images[row], labels[row]))
      writer.close()
  names = "".join(f"class {i}\n" for i in range(CLASSES))
  (folder / "label.labels.txt").write_text(names)
  (folder / "features.json").write_text(json.dumps(_features(shape)))
  about = _info(lengths, form or "array_record")
  (folder / "dataset_info.json").write_text(json.dumps(about))
  return folder


def _features(shape):
  image = {
    "pythonClassName": f"{FEATURES}.image_feature.Image",
    "image": {
      "shape": {"dimensions": [str(n or -1) for n in shape]},
      "dtype": "uint8",
      "encodingFormat": "png",
    },
  }
  label = {
    "pythonClassName": f"{FEATURES}.class_label_feature.ClassLabel",
    "classLabel": {"numClasses": str(CLASSES)},
  }
  return {
    "pythonClassName": f"{FEATURES}.features_dict.FeaturesDict",
    "featuresDict": {"features": {"image": image, "label": label}},
  }


def _info(lengths, form):
  return {
    "name": "toy",
    "version": "1.0.0",
    "fileFormat": form,
    "moduleName": "toy",
    "splits": [
      {
        "name": name,
        "shardLengths": [str(n) for n in sizes],
        "numBytes": "1000",
        "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
      }
      for name, sizes in lengths.items()
    ],
    "supervisedKeys": {
      "tuple": {"items": [{"featureKey": "image"}, {"featureKey": "label"}]}
    },
  }


def drawn(n, seed, shape=(6, 5, 3)):
  """Noise and its labels."""
  rng = np.random.default_rng(seed)
  images = rng.integers(0, 256, (n, *shape), np.uint8)
  return images, [int(i) for i in rng.integers(0, CLASSES, n)]


def load(data_dir, **options):
  return load_dataset("tfds:toy:1.0.0", data_dir=str(data_dir), **options)
