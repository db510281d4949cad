//! Node-API glue: convert, call, convert back.
