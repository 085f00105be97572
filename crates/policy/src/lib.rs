//! The router's features and network: the same code in training and in serving.
