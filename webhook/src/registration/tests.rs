use super::*;

fn registration() -> Registration {
    Registration {
        endpoint: Endpoint::Service {
            namespace: "podfit".into(),
            name: "hook".into(),
            port: 443,
        },
        timeout_seconds: 2,
        fail: false,
        labels: BTreeMap::new(),
        namespaces: LabelSelector::default(),
        probes_only: None,
        reinvoke: true,
    }
}

/// The object that `registration` makes of nothing, as a server would store it.
fn made(registration: &Registration, ca: &str) -> MutatingWebhookConfiguration {
    let Step::Create(mut object) = registration.step(None, ca) else {
        panic!("nothing was there")
    };
    object.metadata.resource_version = Some("7".into());
    *object
}

fn patched(step: Step) -> (Value, bool) {
    match step {
        Step::Patch { patch, only_ca } => (patch, only_ca),
        other => panic!("{other:?}"),
    }
}

#[test]
fn upstreams_rules_are_registered() {
    let object = serde_json::to_value(made(&registration(), "CA")).unwrap();
    assert_eq!(object["metadata"]["name"], "vpa-webhook-config");
    let webhook = &object["webhooks"][0];
    assert_eq!(webhook["name"], "vpa.k8s.io");
    assert_eq!(webhook["clientConfig"]["caBundle"], "Q0E=");
    assert_eq!(
        webhook["clientConfig"]["service"],
        json!({"namespace": "podfit", "name": "hook", "port": 443})
    );
    assert_eq!(
        (&webhook["failurePolicy"], &webhook["timeoutSeconds"]),
        (&json!("Ignore"), &json!(2))
    );
    assert_eq!(webhook["reinvocationPolicy"], "IfNeeded");
    assert_eq!(
        webhook["rules"],
        json!([
            {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"], "scope": "*"},
            {"apiGroups": ["autoscaling.k8s.io"], "apiVersions": ["*"], "resources": ["verticalpodautoscalers"],
                "operations": ["CREATE", "UPDATE"], "scope": "*"}
        ])
    );
}

#[test]
fn what_is_right_is_left_alone_and_a_new_ca_is_all_that_changes() {
    let registration = registration();
    let object = made(&registration, "CA");
    assert_eq!(registration.step(Some(object.clone()), "CA"), Step::Nothing);
    let (patch, only_ca) = patched(registration.step(Some(object), "NEW"));
    assert!(only_ca);
    assert_eq!(
        patch["metadata"],
        json!({"resourceVersion": "7", "annotations": registration_mark()})
    );
    assert_eq!(patch["webhooks"][0]["clientConfig"]["caBundle"], "TkVX");
}

/// Upstream's own object, by Service and with its broken selector, becomes ours; a stranger's entry in it stays.
#[test]
fn an_object_of_upstream_is_taken_over_whole() {
    let old = Registration {
        timeout_seconds: 30,
        ..registration()
    };
    let mut object = made(&old, "CA");
    let webhooks = object.webhooks.as_mut().unwrap();
    webhooks[0].namespace_selector = Some(LabelSelector {
        match_expressions: Some(vec![LabelSelectorRequirement {
            key: NAMESPACE_NAME.into(),
            operator: "NotIn".into(),
            values: Some(vec![String::new()]),
        }]),
        match_labels: None,
    });
    webhooks.insert(
        0,
        MutatingWebhook {
            name: "other.example".into(),
            ..MutatingWebhook::default()
        },
    );
    let by_url = Registration {
        endpoint: Endpoint::Url("https://10.0.0.1:8443".into()),
        labels: [("team".to_owned(), "ml".to_owned())].into(),
        ..registration()
    };
    object.metadata.annotations = None;
    let (patch, only_ca) = patched(by_url.step(Some(object), "CA"));
    assert!(!only_ca);
    assert_eq!(patch["metadata"]["annotations"], json!(registration_mark()));
    assert_eq!(patch["metadata"]["labels"], json!({"team": "ml"}));
    assert_eq!(patch["webhooks"][0]["name"], "other.example");
    let ours = &patch["webhooks"][1];
    assert_eq!(
        ours["clientConfig"],
        json!({"caBundle": "Q0E=", "url": "https://10.0.0.1:8443"})
    );
    assert_eq!(
        (&ours["timeoutSeconds"], &ours["namespaceSelector"]),
        (&json!(2), &json!({}))
    );
}

#[test]
fn of_helms_object_only_the_ca_is_touched() {
    let registration = registration();
    let mut object = made(&registration, "");
    object.metadata.labels = Some([(MANAGED_BY.to_owned(), "Helm".to_owned())].into());
    let webhook = &mut object.webhooks.as_mut().unwrap()[0];
    webhook.timeout_seconds = Some(9);
    webhook.client_config.ca_bundle = None;
    let (patch, only_ca) = patched(registration.step(Some(object.clone()), "CA"));
    assert!(only_ca);
    assert_eq!(patch["webhooks"][0]["timeoutSeconds"], 9);
    assert_eq!(patch["webhooks"][0]["clientConfig"]["caBundle"], "Q0E=");
    object.webhooks.as_mut().unwrap()[0].client_config.ca_bundle = Some(ByteString(b"CA".into()));
    assert_eq!(registration.step(Some(object.clone()), "NEW"), {
        let mut webhooks = object.webhooks.clone().unwrap();
        webhooks[0].client_config.ca_bundle = Some(ByteString(b"NEW".into()));
        patch_of_ca(&webhooks)
    });
    assert_eq!(registration.step(Some(object.clone()), "CA"), Step::Nothing);

    // Of upstream's chart: without podfit's mark not even that.
    object.metadata.annotations = None;
    assert_eq!(registration.step(Some(object), "NEW"), Step::Nothing);
}

fn patch_of_ca(webhooks: &[MutatingWebhook]) -> Step {
    super::patch(Some("7"), None, webhooks, true)
}

/// The chart registers, too, and must leave out the same pods.
#[test]
fn the_chart_has_the_same_condition() {
    let chart = include_str!("../../../charts/podfit/templates/webhook-configuration.yaml");
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words(chart).contains(&words(PODS_OF_A_CONTROLLER)));
    let own = probes_only("{{ .Release.Namespace }}");
    assert!(words(chart).contains(&words(&own.expression)) && chart.contains(&own.name));
}
