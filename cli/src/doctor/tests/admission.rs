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
    ]);
}
