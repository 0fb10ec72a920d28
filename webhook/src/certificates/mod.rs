//! The certificate this server shows, where it comes from, and how it changes while the server runs.
//!
//! ```text
//! Secret (self-managed) ─┐
//!                        ├─► Material (checked) ─► Live (swapped whole) ─► TLS handshakes, registration, self-probe
//! mounted files ─────────┘
//! ```

pub mod authority;
pub mod bundle;
pub mod files;
pub mod live;
pub mod material;
pub mod rotation;
pub mod secret;
