"""Small TFDS sets of any features, written as TFDS writes them."""

import json

import numpy as np
from array_record.python import array_record_module
from tensorflow_datasets.proto import tf_example_pb2

FEATURES = "tensorflow_datasets.core.features"
TEXT = {"pythonClassName": f"{FEATURES}.text_feature.Text", "text": {}}
WAVE = {
  "pythonClassName": f"{FEATURES}.tensor_feature.Tensor",
  "tensor": {
    "shape": {"dimensions": ["-1"]},
    "dtype": "int64",
    "encoding": "none",
  },
}


def label(num_classes):
  return {
    "pythonClassName": f"{FEATURES}.class_label_feature.ClassLabel",
    "classLabel": {"numClasses": str(num_classes)},
  }


def write_set(
  data_dir,
  splits,
  features,
  *,
  name="toy",
  inputs=None,
  shards=1,
  form="array_record",
):
  """A set of version 1.0.0; `splits` are lists of {feature: value}.

  Strings and bytes are texts, a number is a label, a list is a row of them.
  """
  folder = data_dir / name / "1.0.0"
  folder.mkdir(parents=True)
  lengths = {}
  for split, rows in splits.items():
    parts = np.array_split(np.arange(len(rows)), shards)
    lengths[split] = [len(part) for part in parts]
    for i, part in enumerate(parts):
      file = f"{name}-{split}.array_record-{i:05}-of-{shards:05}"
      writer = array_record_module.ArrayRecordWriter(
        str(folder / file), "group_size:1"
      )
      for row in part:
        writer.write(_record(rows[row]))
      writer.close()
  kind = f"{FEATURES}.features_dict.FeaturesDict"
  described = {
    "pythonClassName": kind,
    "featuresDict": {"features": features},
  }
  (folder / "features.json").write_text(json.dumps(described))
  info = {
    "name": name,
    "version": "1.0.0",
    "fileFormat": form,
    "moduleName": name,
    "splits": [
      {
        "name": split,
        "shardLengths": [str(n) for n in sizes],
        "numBytes": "1000",
        "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
      }
      for split, sizes in lengths.items()
    ],
  }
  if inputs:
    keys = [{"featureKey": key} for key in (inputs, "label")]
    info["supervisedKeys"] = {"tuple": {"items": keys}}
  (folder / "dataset_info.json").write_text(json.dumps(info))
  return folder


def _record(row):
  example = tf_example_pb2.Example()
  for name, value in row.items():
    feature = example.features.feature[name]
    if isinstance(value, str | bytes):
      data = value.encode() if isinstance(value, str) else value
      feature.bytes_list.value.append(data)
    else:
      values = value if isinstance(value, list) else [value]
      feature.int64_list.value.extend(values)
  return example.SerializeToString()
