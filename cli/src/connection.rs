//! From kubectl's flags to a cluster.

use anyhow::{Context, Result};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use podfit_cluster::calls::Calls;

use crate::options::ConnectionOptions;

/// A cluster to ask, and which part of it.
pub struct Connection {
    /// For requests.
    pub calls: Calls,
    /// The namespace meant; `None` for all.
    pub namespace: Option<String>,
    /// True when the command line names a namespace, or all.
    pub is_named: bool,
    /// The namespace of podfit itself.
    pub podfit_namespace: String,
}

impl Connection {
    /// Reads the kubeconfig; the cluster itself is asked later.
    pub async fn new(options: &ConnectionOptions) -> Result<Self> {
        let mut config = config(options).await?;
        config.default_retry = false;
        config
            .auth_info
            .impersonate
            .clone_from(&options.impersonate);
        if !options.impersonate_groups.is_empty() {
            config.auth_info.impersonate_groups = Some(options.impersonate_groups.clone());
        }
        let default_namespace = config.default_namespace.clone();
        let client = Client::try_from(config).context("cannot make an API client")?;
        let named = options.namespace.clone().unwrap_or(default_namespace);
        Ok(Self {
            calls: Calls::unlimited(client, options.request_timeout.0),
            namespace: (!options.all_namespaces).then_some(named),
            is_named: options.namespace.is_some() || options.all_namespaces,
            podfit_namespace: options.podfit_namespace.clone(),
        })
    }
}

async fn config(options: &ConnectionOptions) -> Result<Config> {
    let choice = KubeConfigOptions {
        context: options.context.clone(),
        cluster: options.cluster.clone(),
        user: options.user.clone(),
    };
    let file = match &options.kubeconfig {
        Some(path) => Kubeconfig::read_from(path),
        None => Kubeconfig::read(),
    };
    match file {
        Ok(file) => Config::from_custom_kubeconfig(file, &choice)
            .await
            .context("cannot use the kubeconfig; does it have that context?"),
        // In a pod there is none, but a service account.
        Err(error) if options.kubeconfig.is_none() => Config::incluster()
            .map_err(|_| error)
            .context("no kubeconfig; give --kubeconfig FILE or set KUBECONFIG"),
        Err(error) => Err(error).context("cannot read --kubeconfig"),
    }
}
