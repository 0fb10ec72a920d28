//! Why a VPA is recommended what it is, as JSON: computed when somebody asks.

use std::convert::Infallible;

use podfit_cluster::admin::explain::Questions;
use podfit_cluster::api::time;
use podfit_cluster::api::vpa::recommendation_to_json;
use podfit_cluster::explanation::horizontal::Beside;
use podfit_cluster::explanation::to_json;
use podfit_cluster::index::SharedIndex;
use podfit_core::estimator::EstimatorConfig;
use podfit_core::ownership::{ControllerKey, unsupported};
use podfit_core::recommendation::recommend;
use podfit_core::vpa::{Condition, Vpa};
use serde_json::Value;

use crate::model::Model;
use crate::shadow::Shadow;
use crate::view::Serves;

/// Answers questions from what the loop knows.
pub struct Explainer {
    /// Where they come from.
    pub questions: Questions,
    /// The watched objects.
    pub index: SharedIndex,
    /// The recommender's own VPAs: other recommenders' are theirs to explain.
    pub serves: Serves,
    /// From histories to numbers.
    pub estimator: EstimatorConfig,
    /// What would be published.
    pub shadow: Option<Shadow>,
}

impl Explainer {
    /// Answers for as long as it is polled: while the loop waits for its turn, or for the API server.
    pub async fn answer(&mut self, model: &Model) -> Infallible {
        while let Some(question) = self.questions.recv().await {
            let answer = self.explain(&question.namespace, &question.name, model);
            question.answer(answer);
        }
        std::future::pending().await // nobody can ask any more
    }

    /// Waits for something, and answers meanwhile.
    pub async fn meanwhile<T>(&mut self, model: &Model, something: impl Future<Output = T>) -> T {
        tokio::select! {
            value = something => value,
            never = self.answer(model) => match never {},
        }
    }

    fn explain(&self, namespace: &str, name: &str, model: &Model) -> Result<Value, String> {
        let profile = self.estimator.history.profile;
        let (vpa, problem, beside) = {
            let index = self.index.read();
            let vpa = index
                .vpas
                .get(namespace, name)
                .ok_or_else(|| format!("there is no VerticalPodAutoscaler {namespace}/{name}"))?;
            let beside = Beside::of(&index, vpa, profile);
            (vpa.clone(), unsupported(vpa, &index.owners), beside)
        };
        if let Serves::Named(own) = &self.serves
            && !self.serves.takes(&vpa)
        {
            return Err(format!(
                "VerticalPodAutoscaler {namespace}/{name} is of recommender {}, this is {own}",
                vpa.recommenders.join(", ")
            ));
        }
        let mut answer = explanation(&vpa, problem.as_deref(), model, &self.estimator);
        answer["leftToHpas"] = beside.left_to_json();
        answer["hpaTargets"] = beside.targets_to_json(&answer);
        if let Some(shadow) = &self.shadow {
            let unpublished = shadow.would_publish(&vpa);
            answer["wouldPublish"] = unpublished.as_deref().map(recommendation_to_json).into();
        }
        Ok(answer)
    }
}

fn explanation(
    vpa: &Vpa,
    problem: Option<&str>,
    model: &Model,
    estimator: &EstimatorConfig,
) -> Value {
    let now = time::now();
    let target = vpa.target.as_ref();
    let key = target.map(|t| ControllerKey::of(&vpa.namespace, t));
    let histories = key.as_ref().map(|key| model.histories(key));
    // As the loop does: what has no pods does not age.
    let at_zero = |c: &&Condition| c.kind == "NoPodsMatched" && c.status == "True";
    let idle_since = key.as_ref().and_then(|key| model.last_known(key));
    let idle_since = idle_since.filter(|_| vpa.conditions.iter().find(at_zero).is_some());
    let as_of = idle_since.filter(|_| estimator.history.profile.is_safe());
    let as_of = as_of.map_or(now, |since| since.min(now));
    let recommended = recommend(&histories.unwrap_or_default(), vpa, estimator, as_of);
    to_json(vpa, problem, &recommended, now)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use podfit_cluster::api::quantity::to_json;
    use podfit_cluster::index::Index;
    use podfit_cluster::usage::{ContainerUsage, PodUsage};
    use podfit_core::history::HistoryConfig;
    use podfit_core::ownership::Controller;
    use podfit_core::pod::{Container, OwnerRef, Pod};
    use podfit_core::quantity::{Bytes, Millicores};
    use serde_json::json;

    use super::*;
    use crate::view::View;

    /// A model with one sample of `web`'s pod, and the VPA of `web`.
    fn with_a_sample() -> (Vpa, Model) {
        let owner = OwnerRef {
            api_version: "apps/v1".into(),
            kind: "StatefulSet".into(),
            name: "web".into(),
        };
        let vpa = Vpa {
            namespace: "shop".into(),
            name: "web".into(),
            target: Some(owner.clone()),
            ..Vpa::default()
        };
        let pod = Pod {
            namespace: "shop".into(),
            name: "web-0".into(),
            uid: "0".into(),
            containers: vec![Container {
                name: "app".into(),
                ..Container::default()
            }],
            owner: Some(owner),
            ..Pod::default()
        };
        let mut index = Index::default();
        index.owners.apply(
            ControllerKey::new("shop", "StatefulSet", "web"),
            Controller::default(),
        );
        index.vpas.apply(vpa.clone());
        index
            .pods
            .insert(("shop".into(), "web-0".into()), Arc::new(pod));
        let usage = PodUsage {
            namespace: "shop".into(),
            pod: "web-0".into(),
            at: time::now(),
            containers: vec![ContainerUsage {
                name: "app".into(),
                cpu: Some(Millicores(1000)),
                memory: Some(Bytes(1 << 30)),
            }],
        };
        let mut model = Model::new(HistoryConfig::default());
        let view = View::of(&index, &"default".into());
        model.add_usage(&view, &usage, usage.at, |_, _, _| {});
        (vpa, model)
    }

    #[test]
    fn an_explanation_leads_from_the_samples_to_the_published_number() {
        let (vpa, model) = with_a_sample();
        let config = EstimatorConfig::default();
        let explained = explanation(&vpa, None, &model, &config);
        assert_eq!(explained["target"], "StatefulSet shop/web");
        let app = &explained["containers"][0];
        assert_eq!((&app["name"], &app["samples"]), (&json!("app"), &json!(1)));
        let cpu = &app["resources"]["cpu"];
        assert_eq!(cpu["confidence"]["low"], true);
        let target = &cpu["target"];
        assert_eq!(target["percentile"], 0.9);
        let steps = target["steps"].as_array().unwrap();
        assert_eq!(steps[0]["cause"], "Margin");
        assert_eq!(steps[0]["why"], "15 % margin");

        let key = ControllerKey::of("shop", vpa.target.as_ref().unwrap());
        let published = recommend(&model.histories(&key), &vpa, &config, time::now());
        let published = to_json(&published.recommendations[0].target);
        for resource in ["cpu", "memory"] {
            let amount = &app["resources"][resource]["target"]["amount"];
            assert_eq!(*amount, published[resource]);
        }
    }

    #[test]
    fn a_vpa_without_histories_is_explained_by_its_problem() {
        let (mut vpa, model) = with_a_sample();
        vpa.target = None;
        let explained = explanation(&vpa, Some("no target"), &model, &EstimatorConfig::default());
        assert_eq!(explained["problem"], "no target");
        assert_eq!(explained["containers"], json!([]));
    }
}
