//! Every artifact's Parquet schema, the stage request and the manifest, and their validation.
