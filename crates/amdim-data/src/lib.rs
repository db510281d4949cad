//! Pixels: decoding, data sets, augmentation, batches.
