//! What goes on beside the requests: the certificate in force, the registration, the sign of life.

pub mod certificates;
pub mod registrar;
pub mod sign_of_life;
