//! Names of what is meant, bars, and the text made of an explanation.

use podfit_cluster::index::Index;
use podfit_core::admission::{LimitBy, Next};
use podfit_core::horizontal::{Claims, Horizontal, HorizontalAutoscaler, Metric, Target};
use podfit_core::opt_in::Managed;
use podfit_core::policy::{LimitPolicy, Note};
use podfit_core::quantity::Resource;
use podfit_core::vpa::Condition;

use super::bars::{Bar, draw};
use super::*;
use crate::fixtures::web;

fn claims() -> Claims {
    Claims::new(&[Arc::new(hpa())], Horizontal::Yield)
}

fn hpa() -> HorizontalAutoscaler {
    let metric = Metric::Resource {
        resource: Resource::Cpu,
        container: None,
        target: Target::Utilization(70),
    };
    HorizontalAutoscaler {
        name: "web".into(),
        metrics: vec![metric],
        ..HorizontalAutoscaler::default()
    }
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(String::from).collect()
}

#[test]
fn what_is_meant_is_written_as_to_kubectl() {
    let target = |kind: &str| Wanted::Target(kind.into(), "web".into());
    for (text, wanted) in [
        ("web", Wanted::Vpa("web".into())),
        ("vpa web", Wanted::Vpa("web".into())),
        ("VerticalPodAutoscaler/web", Wanted::Vpa("web".into())),
        ("deployment/web", target("deployment")),
        ("deploy web", target("deployment")),
        ("StatefulSets/web", target("statefulset")),
        ("rollouts.argoproj.io/web", target("rollout")),
    ] {
        assert_eq!(Wanted::parse(&words(text)).unwrap(), wanted, "{text}");
    }
    for text in ["/web", "deployment/", "a b/c"] {
        assert!(Wanted::parse(&words(text)).is_err(), "{text}");
    }
}

#[test]
fn vpas_are_found_by_name_and_by_target() {
    let mut index = Index::default();
    index.vpas.apply(web("front"));
    let find = |text: &str, namespace: &str| {
        let wanted = Wanted::parse(&words(text)).unwrap();
        wanted.find(namespace, &index)
    };
    assert_eq!(find("web", "shop").unwrap().len(), 1);
    assert_eq!(find("deployment/front", "shop").unwrap().len(), 1);
    let error = find("deployment/web", "shop").unwrap_err().to_string();
    assert_eq!(
        error,
        "no VPA targets deployment web; in namespace shop there are: web"
    );
    let error = find("web", "other").unwrap_err().to_string();
    assert!(error.contains("none in namespace other"), "{error}");
}

#[test]
fn bars_are_drawn_to_one_scale() {
    let bars = [
        Bar::new("request", 400),
        Bar::new("usage", 100),
        Bar::new("little", 1),
        Bar::between("bounds", 200, 400),
    ];
    let expected = [
        format!("    request  {}  400m", "█".repeat(40)),
        format!("    usage    {:<40}  100m", "█".repeat(10)),
        format!("    little   {:<40}  1m", "█"),
        format!(
            "    bounds   {}{}  200m to 400m",
            " ".repeat(20),
            "▒".repeat(20)
        ),
    ];
    let drawn = draw(Resource::Cpu, &bars);
    assert_eq!(drawn.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn an_explanation_is_told() {
    let number = |used: &str, to: &str| {
        json!({
            "percentile": 0.9, "ofSamples": used, "amount": to,
            "steps": [{"cause": "Margin", "why": "15 % margin", "to": to}],
        })
    };
    let mut vpa = web("front");
    let mark = "autosize=in-place profile=training by=workload revision=1".into();
    vpa.managed = Some(Box::new(Managed { mark }));
    vpa.conditions = vec![Condition {
        kind: "UpdateBlocked".into(),
        status: "True".into(),
        reason: "OutsideWindow".into(),
        message: "opens at 22:00".into(),
        ..Condition::default()
    }];
    let explained = Explained {
        vpa: Arc::new(vpa),
        evidence: Evidence {
            source: "recommender pod a".into(),
            explanation: json!({
                "target": "Deployment shop/front",
                "containers": [{
                    "name": "app", "samples": 100,
                    "firstSample": "2026-11-20T00:00:00Z", "lastSample": "2026-11-26T00:00:00Z",
                    "outOfMemory": {"floor": "200Mi", "lastKill": "2026-11-25T00:00:00Z", "until": "2026-12-03T00:00:00Z"},
                    "resources": {"cpu": {
                        "controlled": true, "target": number("100m", "115m"),
                        "class": {"name": "Periodic", "confidence": 0.9375, "words": "periodic (24 h), 94 % sure"},
                        "confidence": {"low": true, "ageSeconds": 3600, "intervalSeconds": 86400},
                    }},
                }],
            }),
        },
        beside: Beside {
            requests: [(("app".into(), Resource::Cpu), (460, 460))].into(),
            claims: claims(),
            hpas: vec![Arc::new(hpa())],
        },
        pods: 2,
        next_pod: Ok(Vec::new()),
        decisions: Vec::new(),
        remarks: Vec::new(),
    };
    let text = show::text(&explained);
    for words in [
        "VPA shop/web sizes Deployment shop/front, 2 pods\n",
        "made by podfit, as a label asks: autosize=in-place profile=training by=workload",
        "  updateMode with in-place: InPlace\n",
        "  podfit.dev/scale-down: never\n",
        "told by recommender pod a\n",
        "    recommended and not applied: HPA web scales on 70 % of what is requested (LeftToHpa)\n",
        "container app: 100 samples from 2026-11-20T00:00:00Z to",
        "at least 200Mi until 2026-12-03T00:00:00Z",
        &format!("    request      {}  460m\n", "█".repeat(40)),
        &format!("    recommended  {:<40}  115m\n", "█".repeat(10)),
        "target: 100m is the 90th percentile of what was used; 15 % margin → 115m\n",
        "    class: periodic (24 h), 94 % sure\n",
        "confidence is low: 1.0 h of history of 24 h wanted",
        "next: mode Recreate, new pods are sized; running ones are evicted when they are off\n",
        "  UpdateBlocked (OutsideWindow): opens at 22:00\n",
    ] {
        assert!(text.contains(words), "no `{words}` in\n{text}");
    }
    let json = to_json(&explained);
    assert_eq!(json["requests"][0]["most"], "460m");
    assert_eq!(json["leftToHpas"][0]["hpa"], "web");
    assert_eq!(json["conditions"][0]["reason"], "OutsideWindow");
}

#[test]
fn the_target_of_an_hpa_is_told_with_what_would_become_of_it() {
    use podfit_core::horizontal::realign::{Anchor, Covers, Kept, ScalePoint};
    let anchor = Anchor {
        point: ScalePoint::new(70, 500).unwrap(),
        set: 74,
    };
    let mut hpa = hpa();
    if let Metric::Resource { target, .. } = &mut hpa.metrics[0] {
        *target = Target::Utilization(74);
    }
    hpa.kept = Kept {
        anchors: vec![(Covers::parse("cpu").unwrap(), anchor)],
        ..Kept::default()
    };
    let hpas = vec![Arc::new(hpa)];
    let one = |name: &str, target: &str, mean: &str| {
        let cpu = json!({"target": {"amount": target}, "meanOfSamples": mean});
        json!({"name": name, "resources": {"cpu": cpu}})
    };
    let explained = |stance| Explained {
        vpa: Arc::new(web("front")),
        evidence: Evidence {
            source: "a test".into(),
            explanation: json!({"containers": [one("app", "300m", "280m"), one("side", "100m", "70m")]}),
        },
        beside: Beside {
            requests: [
                (("app".into(), Resource::Cpu), (353, 380)),
                (("side".into(), Resource::Cpu), (120, 120)),
            ]
            .into(),
            claims: Claims::new(&hpas, stance),
            hpas: hpas.clone(),
        },
        pods: 2,
        next_pod: Ok(Vec::new()),
        decisions: Vec::new(),
        remarks: Vec::new(),
    };
    let told = show::text(&explained(Horizontal::Realign));
    for line in [
        "HPA web scales on cpu: 74 % of 473m to 500m\n",
        "  moves with what is requested; its owner chose 70 % of 500m: 350m of use\n",
        "  wanted: 87 % of 403m\n",
        "the number of pods runs up: more and more pods of less and less (stability 0.85; 0.91 to 1.11 holds)\n",
    ] {
        assert!(told.contains(line), "{line}\n{told}");
    }
    let json = &to_json(&explained(Horizontal::Ignore))["hpaTargets"][0];
    assert_eq!(
        (&json["chosen"], &json["metric"]),
        (&Value::Null, &json!("cpu"))
    );
    assert_eq!(json["stability"]["verdict"], "RunsUp");
}

/// One container with a CPU target.
fn with_a_target(steps: &Value, next_pod: Result<Vec<Next>, LeftAlone>) -> Explained {
    let cpu = json!({"controlled": true, "target": {
        "percentile": 0.9, "ofSamples": "100m", "amount": "300m", "steps": steps,
    }});
    Explained {
        vpa: Arc::new(web("front")),
        evidence: Evidence {
            source: "a test".into(),
            explanation: json!({"containers": [{"name": "app", "resources": {"cpu": cpu}}]}),
        },
        beside: Beside::default(),
        pods: 1,
        next_pod,
        decisions: Vec::new(),
        remarks: Vec::new(),
    }
}

/// Each cap of the policy is a step of the number; those of LimitRanges depend on a pod, and are told of the next one.
#[test]
fn each_cap_is_named() {
    use podfit_core::explanation::Cause;
    let step = |cause: Cause, to: i64| json!({"cause": cause.code(), "why": cause.to_string(), "to": Resource::Cpu.show(to)});
    let steps = json!([
        step(Cause::Margin(0.15), 115),
        step(Cause::MinAllowed(400), 400),
        step(Cause::MaxAllowed(300), 300),
        step(Cause::GlobalMax(250), 250),
    ]);
    let next = Next {
        container: "app".into(),
        resource: Resource::Cpu,
        request: 200,
        limit: Some(400),
        limit_by: LimitBy::Policy(LimitPolicy::Ratio),
        bound_by: vec![
            Note::CappedToLimitRangeMax(Resource::Cpu),
            Note::CappedToPodLimitRange(Resource::Cpu),
        ],
    };
    let mut explained = with_a_target(&steps, Ok(vec![next]));
    let text = show::text(&explained);
    let line =
        "; cpu capped to fit Max in container LimitRange; cpu scaled to fit pod LimitRange\n";
    let told = format!(
        "    next pod: request 200m, limit 400m, which keeps its proportion to the request (ratio){line}"
    );
    assert!(text.contains(&told), "{text}");
    let way = "target: 100m is the 90th percentile of what was used; 15 % margin → 115m; minAllowed → 400m; \
               maxAllowed → 300m; the recommender's maximum → 250m\n";
    assert!(text.contains(way), "{text}");
    Arc::make_mut(&mut explained.vpa).update_mode = UpdateMode::Off;
    let text = show::text(&explained);
    assert!(
        text.contains("next pod, in a mode other than Off: request 200m"),
        "{text}"
    );
    let json = &to_json(&explained)["nextPod"][0];
    let want = json!({
        "container": "app", "resource": "cpu", "request": "200m", "limit": "400m", "limitBy": "ratio",
        "boundBy": ["cpu capped to fit Max in container LimitRange", "cpu scaled to fit pod LimitRange"],
        "message": &told.trim()["next pod: ".len()..],
    });
    assert_eq!(*json, want);

    let explained = with_a_target(&steps, Err(LeftAlone::PodLevelResources));
    let why = "the pod as a whole has resources (spec.resources), which are not sized";
    assert!(show::text(&explained).contains(&format!("  new pods are left alone: {why}\n")));
    assert_eq!(to_json(&explained)["nextPod"]["leftAlone"], why);
}
