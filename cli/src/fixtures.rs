//! What tests begin with.

use podfit_core::pod::OwnerRef;
use podfit_core::vpa::Vpa;

/// The VPA `web` of a Deployment in namespace `shop`.
pub fn web(deployment: &str) -> Vpa {
    Vpa {
        namespace: "shop".into(),
        name: "web".into(),
        target: Some(OwnerRef {
            api_version: "apps/v1".into(),
            kind: "Deployment".into(),
            name: deployment.into(),
        }),
        ..Vpa::default()
    }
}
