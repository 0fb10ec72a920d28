//! The way of a new pod, and other VPAs.

use super::*;

#[test]
fn admission() {
    let client = |f: &mut Facts, change: &dyn Fn(&mut Value)| {
        if let Answer::Found(webhooks) = &mut f.webhooks {
            change(&mut webhooks["items"][0]["webhooks"][0]);
        }
    };
    table(&[
        (
            &|f| {
                f.webhooks = list(json!([]));
                f.chain = Err(Chain::Broken("the API server did not ask".into()));
            },
            &[
                "FAIL webhook registered: there is no MutatingWebhookConfiguration",
                "FAIL new pods are sized: no: the API server did not ask",
            ],
        ),
        (
            &|f| client(f, &|w| w["clientConfig"]["caBundle"] = "".into()),
            &["FAIL webhook's CA bundle: empty"],
        ),
        (
            &|f| client(f, &|w| w["clientConfig"]["caBundle"] = "eHh4".into()),
            &["FAIL webhook's CA bundle: it cannot be read: there is no certificate in it"],
        ),
        (
            &|f| client(f, &|w| w["failurePolicy"] = "Fail".into()),
            &["WARN webhook registered: vpa-webhook-config, failurePolicy Fail"],
        ),
        (
            &|f| {
                client(f, &|w| {
                    w["clientConfig"]["service"]["namespace"] = "kube-system".into()
                })
            },
            &["FAIL other VPA installs: MutatingWebhookConfiguration vpa-webhook-config"],
        ),
        (
            &|f| f.endpoints = Some(list(json!([]))),
            &["WARN webhook's Service: podfit/podfit-webhook has no pod that is ready"],
        ),
        (
            &|f| {
                f.endpoints = Some(list(json!([])));
                f.chain = Err(Chain::NotTried("forbidden".into()));
                f.certificate = Ok(Duration::ZERO);
            },
            &[
                "FAIL webhook's Service",
                "WARN new pods are sized: not tried: forbidden",
                "FAIL webhook's certificate: it has expired",
            ],
        ),
    ]);
}

#[test]
fn other_autoscalers() {
    let upstream = json!({
        "metadata": {"namespace": "kube-system", "name": "vpa"},
        "spec": {"template": {"spec": {"containers": [{"image": "registry.k8s.io/autoscaling/vpa-updater:1.5.0"}]}}},
    });
    let mut stopped = upstream.clone();
    stopped["spec"]["replicas"] = 0.into();
    let held = lease("kube-system", "vpa-updater", "old", NOW);
    let gone = lease("kube-system", "vpa-updater", "old", "2026-11-25T12:00:00Z");
    // As upstream's chart names them, in a namespace of its own or in podfit's.
    let of_chart = lease("vpa", "vpa-updater-lease", "old", NOW);
    let beside = lease("podfit", "vpa-updater-lease", "old", NOW);
    let other = lease("podfit", "some-lease", "old", NOW);
    let left = json!({
        "metadata": {"name": "vpa-vertical-pod-autoscaler-webhook-config"},
        "webhooks": [{"name": "vpa.k8s.io", "clientConfig": {"service": {"namespace": "vpa", "name": "vpa-webhook"}}}],
    });
    let push = |answer: &mut Answer, item: &Value| {
        if let Answer::Found(list) = answer {
            list["items"].as_array_mut().unwrap().push(item.clone());
        }
    };
    table(&[
        (
            &|f| push(&mut f.deployments, &upstream),
            &["FAIL other VPA installs: Deployment kube-system/vpa"],
        ),
        (&|f| push(&mut f.deployments, &stopped), &[]),
        (
            &|f| push(&mut f.leases, &held),
            &["FAIL other VPA installs: lease kube-system/vpa-updater, held by old"],
        ),
        (&|f| push(&mut f.leases, &gone), &[]),
        (
            &|f| push(&mut f.leases, &of_chart),
            &["FAIL other VPA installs: lease vpa/vpa-updater-lease, held by old"],
        ),
        (
            &|f| push(&mut f.leases, &beside),
            &["FAIL other VPA installs: lease podfit/vpa-updater-lease, held by old"],
        ),
        (&|f| push(&mut f.leases, &other), &[]),
        (
            &|f| push(&mut f.webhooks, &left),
            &[
                "FAIL other VPA installs: MutatingWebhookConfiguration vpa-vertical-pod-autoscaler-webhook-config",
            ],
        ),
    ]);
}

/// What is only left behind is to be deleted; what acts is to be stopped.
#[test]
fn the_remedy_for_another_autoscaler() {
    let remedy = |held: bool| {
        let mut facts = healthy();
        let left = json!({
            "metadata": {"name": "a"},
            "webhooks": [{"name": "vpa.k8s.io", "clientConfig": {"service": {"namespace": "vpa"}}}],
        });
        let ours = facts.webhooks.items().next().cloned();
        facts.webhooks = list(json!([ours, left]));
        if held {
            facts.leases = list(json!([lease("vpa", "vpa-updater-lease", "old", NOW)]));
        }
        let checks = checks(&facts);
        let check = checks.into_iter().find(|c| c.what == "other VPA installs");
        check.and_then(|check| check.remedy).unwrap()
    };
    assert!(remedy(false).contains("docs/migrate.md"));
    assert!(remedy(true).contains("docs/install.md"));
}
