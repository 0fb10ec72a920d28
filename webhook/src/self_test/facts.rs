//! What the cluster says of the webhook's registration.

use std::net::{IpAddr, SocketAddr};

use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, WebhookClientConfig,
};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{Api, ListParams};
use podfit_cluster::calls::Calls;

use super::Broken;
use crate::probe::Probe;
use crate::registration::{CONFIGURATION, WEBHOOK};

/// Where the webhook is to be found.
pub struct Endpoint {
    /// `None` when it is registered by a URL, or has no address of its own.
    address: Option<SocketAddr>,
    server_name: String,
    authorities: Vec<u8>,
}

impl Endpoint {
    /// Asks the webhook as the API server would.
    pub async fn answers(&self) -> Result<(), Broken> {
        let Some(address) = self.address else {
            return Ok(());
        };
        let probe = Probe::new(address, &self.server_name);
        let bundle = String::from_utf8_lossy(&self.authorities);
        probe
            .check_against(&bundle)
            .await
            .map_err(|why| Broken::NoAnswer(address, why.to_string()))
    }
}

/// The registration, when all is there that the API server needs.
pub async fn registration(calls: &Calls, own: &str) -> Result<Endpoint, Broken> {
    let configurations: Api<MutatingWebhookConfiguration> = Api::all(calls.client().clone());
    let found = calls
        .run(
            "get the webhook configuration",
            configurations.get_opt(CONFIGURATION),
        )
        .await?;
    let webhooks = found.and_then(|found| found.webhooks).unwrap_or_default();
    let webhook = webhooks.into_iter().find(|w| w.name == WEBHOOK);
    let config = webhook
        .ok_or(Broken::NoConfiguration(CONFIGURATION))?
        .client_config;
    let authorities = config.ca_bundle.clone().unwrap_or_default().0;
    if authorities.is_empty() {
        return Err(Broken::NoAuthority(CONFIGURATION, own.into()));
    }
    let (address, server_name) = service(calls, &config).await?;
    Ok(Endpoint {
        address,
        server_name,
        authorities,
    })
}

/// The Service's address, once there is a pod behind it that is ready.
async fn service(
    calls: &Calls,
    config: &WebhookClientConfig,
) -> Result<(Option<SocketAddr>, String), Broken> {
    let Some(reference) = &config.service else {
        return Ok((None, String::new()));
    };
    let (namespace, name) = (&reference.namespace, &reference.name);
    let full = format!("{namespace}/{name}");
    let services: Api<Service> = Api::namespaced(calls.client().clone(), namespace);
    let found = calls
        .run("get the webhook's Service", services.get_opt(name))
        .await?;
    let service = found.ok_or_else(|| Broken::NoService(full.clone()))?;
    let slices: Api<EndpointSlice> = Api::namespaced(calls.client().clone(), namespace);
    let of_service = ListParams::default().labels(&format!("kubernetes.io/service-name={name}"));
    let found = calls
        .run("list the webhook's endpoints", slices.list(&of_service))
        .await?;
    if !found.items.iter().any(has_ready) {
        return Err(Broken::NoEndpoints(full, namespace.clone()));
    }
    let ip = service.spec.and_then(|spec| spec.cluster_ip);
    let ip = ip.and_then(|ip| ip.parse::<IpAddr>().ok());
    let port = reference.port.and_then(|port| u16::try_from(port).ok());
    let address = ip.map(|ip| SocketAddr::new(ip, port.unwrap_or(443)));
    Ok((address, format!("{name}.{namespace}.svc")))
}

fn has_ready(slice: &EndpointSlice) -> bool {
    let ready = |conditions: Option<bool>| conditions != Some(false);
    slice
        .endpoints
        .iter()
        .any(|endpoint| ready(endpoint.conditions.as_ref().and_then(|c| c.ready)))
}
