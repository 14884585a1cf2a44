"""Where examples come from, and how they reach the device.

dataset   train, valid and test; splits in memory, uint8 images and labels
checks    what arrays must be to be a split
sources   sets by name: "digits", "tfds:cifar10", "arrays:PATH", "synthetic"
tfds      sets that TFDS prepared, in memory or streamed
prepared  opening them; `prepare` makes them
cache     what was decoded, kept in files
stream    splits that are decoded as they are needed
records   encoded images in ArrayRecord files
views     what is shown of an image
ahead     work done ahead of its use, in threads or processes
batches   the order of examples, and batches cut from it on the device
augment   random changes to a batch, on the device, from keys
"""
