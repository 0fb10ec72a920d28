//! podfit as it is installed: its Deployments, service accounts, pods and what their flags say.

use podfit_cluster::calls::Calls;
use serde_json::Value;

use crate::flags;
use crate::objects::{self, Answer};

/// podfit's programs, as the chart's label `app.kubernetes.io/component` names them.
pub const COMPONENTS: [&str; 3] = ["recommender", "updater", "webhook"];

/// What of podfit is in its namespace.
#[derive(Clone, Debug)]
pub struct Installation {
    /// The namespace.
    pub namespace: String,
    /// Its Deployments.
    pub deployments: Answer,
    /// Its pods.
    pub pods: Answer,
    /// Its service accounts.
    pub accounts: Answer,
}

impl Installation {
    /// Looks for it.
    pub async fn find(calls: &Calls, namespace: &str) -> Self {
        let (apps, core) = ("/apis/apps/v1", "/api/v1");
        let [deployments, pods, accounts] = [
            format!("{apps}/namespaces/{namespace}/deployments"),
            format!("{core}/namespaces/{namespace}/pods"),
            format!("{core}/namespaces/{namespace}/serviceaccounts"),
        ];
        let (deployments, pods, accounts) = tokio::join!(
            objects::list(calls, &deployments),
            objects::list(calls, &pods),
            objects::list(calls, &accounts),
        );
        Self {
            namespace: namespace.into(),
            deployments,
            pods,
            accounts,
        }
    }

    /// The Deployment of a component.
    pub fn deployment(&self, component: &str) -> Option<&Value> {
        self.deployments.items().find(|d| is(d, component))
    }

    /// The flags of a component, as its environment and its arguments give them: the last one counts. None when its Deployment
    /// is not known.
    pub fn arguments(&self, component: &str) -> Vec<String> {
        let Some(deployment) = self.deployment(component) else {
            return Vec::new();
        };
        let containers = &deployment["spec"]["template"]["spec"]["containers"];
        let containers = || containers.as_array().into_iter().flatten();
        // Others may have put theirs before it.
        let named = containers().find(|container| container["name"] == component);
        let Some(container) = named.or_else(|| containers().next()) else {
            return Vec::new();
        };
        let given = ["command", "args"].map(|field| container[field].as_array());
        let given = given.into_iter().flatten().flatten();
        let given = given.filter_map(|argument| argument.as_str().map(String::from));
        flags::from_environment(&container["env"])
            .chain(given)
            .collect()
    }

    /// True when a component computes and writes nothing.
    pub fn is_shadow(&self, component: &str) -> bool {
        self.flag(component, "shadow", "false") == "true"
    }

    /// True when the recommender follows labels.
    pub fn opts_in(&self) -> bool {
        let flag = |name, default| self.flag("recommender", name, default);
        flag("opt-in", "true") == "true" && flag("recommender-name", "default") == "default"
    }

    /// The value of a component's flag, or what it is without the flag.
    pub fn flag(&self, component: &str, name: &str, default: &str) -> String {
        let arguments = self.arguments(component);
        flags::value(&arguments, name).unwrap_or(default).to_owned()
    }

    /// The service account of a component, from its Deployment or by its label.
    pub fn account(&self, component: &str) -> Option<String> {
        let of_pods = |d: &Value| {
            let account = &d["spec"]["template"]["spec"]["serviceAccountName"];
            Some(account.as_str()?.to_owned())
        };
        self.deployment(component).and_then(of_pods).or_else(|| {
            let account = self.accounts.items().find(|a| is(a, component))?;
            Some(account["metadata"]["name"].as_str()?.to_owned())
        })
    }

    /// The names of a component's pods that are ready.
    pub fn ready_pods<'a>(&'a self, component: &'a str) -> impl Iterator<Item = &'a str> {
        let ready = |pod: &&Value| {
            let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
            let mut ready = conditions.filter(|c| c["type"] == "Ready");
            ready.any(|c| c["status"] == "True")
        };
        let pods = self.pods.items().filter(move |pod| is(pod, component));
        pods.filter(ready)
            .filter_map(|pod| pod["metadata"]["name"].as_str())
    }

    /// The path, through the API server, to what a component's pod serves beside its work.
    pub fn proxy(&self, component: &str, pod: &str) -> String {
        let default = match component {
            "recommender" => ":8942",
            "updater" => ":8943",
            _ => ":8944",
        };
        let address = self.flag(component, "address", default);
        let port = address.rsplit(':').next().unwrap_or_default();
        format!(
            "/api/v1/namespaces/{}/pods/{pod}:{port}/proxy",
            self.namespace
        )
    }
}

/// True for what the chart labels as a part of this component, whatever the release is called.
fn is(object: &Value, component: &str) -> bool {
    let labels = &object["metadata"]["labels"];
    labels["app.kubernetes.io/component"] == component
        && labels["app.kubernetes.io/name"].is_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn flags_are_those_of_its_own_container_and_arguments_win() {
        let deployment = json!({
            "metadata": {"labels": {"app.kubernetes.io/name": "podfit", "app.kubernetes.io/component": "updater"}},
            "spec": {"template": {"spec": {"containers": [
                {"name": "mesh", "args": ["--shadow=false"]},
                {
                    "name": "updater",
                    "env": [
                        {"name": "PODFIT_SHADOW", "value": "true"},
                        {"name": "PODFIT_PROFILE", "value": "safe"},
                    ],
                    "command": ["/podfit-updater", "--v=1"],
                    "args": ["--profile=upstream"],
                },
            ]}}},
        });
        let installation = Installation {
            namespace: "podfit".into(),
            deployments: Answer::Found(json!({"items": [deployment]})),
            pods: Answer::Absent,
            accounts: Answer::Absent,
        };
        assert!(installation.is_shadow("updater"));
        assert!(!installation.is_shadow("webhook"));
        assert_eq!(installation.flag("updater", "profile", ""), "upstream");
        assert_eq!(installation.flag("updater", "v", ""), "1");
    }
}
