//! How recommendations are compared and shown.

use podfit_core::quantity::{Bytes, Millicores, Resource, ResourceList};
use podfit_core::vpa::ContainerRecommendation;
use serde_json::{Value, json};

use super::*;
use crate::evidence::Evidence;
use crate::fixtures::web;

/// `web`, for whose one container 230m and 500Mi are published.
fn published() -> Vpa {
    Vpa {
        recommendation: Some(vec![ContainerRecommendation {
            container_name: "app".into(),
            target: ResourceList {
                cpu: Some(Millicores(230)),
                memory: Some(Bytes(500 << 20)),
            },
            ..ContainerRecommendation::default()
        }]),
        ..web("web")
    }
}

/// What the recommender says of `app`: the last step to both targets, and the targets.
fn explanation(cause: &str, cpu: &str, memory: &str) -> Value {
    let resource = |to: &str| {
        json!({
            "controlled": true, "confidence": {"low": false},
            "target": {
                "percentile": 0.9, "ofSamples": to, "amount": to,
                "steps": [
                    {"cause": "Margin", "why": "15 % margin", "to": to},
                    {"cause": cause, "why": "of that", "to": to},
                ],
            },
        })
    };
    json!({
        "reasons": [],
        "containers": [{"name": "app", "resources": {"cpu": resource(cpu), "memory": resource(memory)}}],
    })
}

fn would_publish(mut explanation: Value, target: &Value) -> Value {
    let containers = json!([{"containerName": "app", "target": target}]);
    explanation["wouldPublish"] = json!({"containerRecommendations": containers});
    explanation
}

#[test]
fn every_number_has_its_reason() {
    let plain = || explanation("Margin", "230m", "500Mi");
    let with = |change: &dyn Fn(&mut Value)| {
        let mut changed = plain();
        change(&mut changed);
        changed
    };
    let cpu = "/containers/0/resources/cpu";
    let set = |path: &'static str, value: Value| {
        with(&|e| *e.pointer_mut(&format!("{cpu}{path}")).unwrap() = value.clone())
    };
    let same = json!({"cpu": "230m", "memory": "500Mi"});
    // What is explained; podfit's CPU; why.
    for (explained, podfit, code) in [
        (plain(), Some(230), "Percentile"),
        (
            explanation("MaxAllowed", "100m", "500Mi"),
            Some(100),
            "MaxAllowed",
        ),
        (
            explanation("OutOfMemory", "230m", "1Gi"),
            Some(230),
            "OutOfMemory",
        ),
        (
            explanation("Humanized", "230m", "1Gi"),
            Some(230),
            "Percentile",
        ),
        (
            set("/confidence/low", true.into()),
            Some(230),
            "ShortHistory",
        ),
        (set("/controlled", false.into()), None, "NotControlled"),
        (set("/target", Value::Null), None, "NoSamples"),
        // A shadow's own number counts, not the one before its rules.
        (
            would_publish(explanation("Margin", "20m", "500Mi"), &same),
            Some(230),
            "Held",
        ),
        (
            would_publish(set("/target", Value::Null), &same),
            Some(230),
            "NoSamples",
        ),
        (with(&|e| e["wouldPublish"] = Value::Null), None, "NotYet"),
        (
            with(&|e| e["problem"] = "no such target".into()),
            Some(230),
            "Problem",
        ),
        (Value::Null, None, "Problem"),
        (
            json!({"containers": [], "reasons": ["app: its policy has mode Off"]}),
            None,
            "NotControlled",
        ),
    ] {
        let numbers = compare(&published(), &explained, 3);
        assert_eq!(numbers.len(), 2, "{explained}");
        let cpu = &numbers[0];
        assert_eq!((cpu.resource, cpu.published), (Resource::Cpu, Some(230)));
        assert_eq!(
            (cpu.podfit, cpu.reason.code.as_str()),
            (podfit, code),
            "{explained}"
        );
    }
}

#[test]
fn what_one_side_lacks_is_seen() {
    let mut unpublished = published();
    unpublished.recommendation = None;
    let numbers = compare(&unpublished, &explanation("Margin", "230m", "500Mi"), 1);
    let [cpu, memory] = numbers.as_slice() else {
        panic!("{numbers:?}");
    };
    assert_eq!((cpu.published, cpu.podfit), (None, Some(230)));
    assert_eq!((memory.relative(), memory.buckets()), (None, None));
    assert!(
        cpu.moves(1000),
        "a number that was not there is no small move"
    );
    assert_eq!(compare(&unpublished, &Value::Null, 1), []);
}

/// `web` moves by three buckets of CPU; of `api` nothing is published; `lost` has no number at all.
fn comparison() -> Comparison {
    let source = "recommender pod a";
    let mut comparison = Comparison::new(1, vec!["list pods: forbidden".into()]);
    let mut add = |vpa: &Vpa, explanation: Value, pods| {
        let evidence = Evidence {
            source: source.into(),
            explanation,
        };
        comparison.add(vpa, compare(vpa, &evidence.explanation, pods), &evidence);
    };
    let api = Vpa {
        name: "api".into(),
        recommendation: None,
        ..published()
    };
    let lost = Vpa {
        name: "lost".into(),
        ..api.clone()
    };
    add(&published(), explanation("MinAllowed", "300m", "510Mi"), 2);
    add(&api, explanation("Margin", "100m", "1Gi"), 1);
    add(&lost, json!({"problem": "it is gone", "containers": []}), 0);
    comparison.sort();
    comparison
}

#[test]
fn a_comparison_is_shown_in_every_format() {
    let comparison = comparison();
    let text = show::text(&comparison);
    for words in [
        "podfit's numbers told by recommender pod a\n",
        "note: list pods: forbidden\n",
        "note: VPA shop/lost has a number on neither side: it is gone\n",
        "shop       web  app        cpu            230m    300m     +30.4 %       +3  300m is the 90th percentile",
        "shop       web  app        memory        500Mi   510Mi      +2.0 %       +0  510Mi is",
        "shop       api  app        memory            -     1Gi",
        "3 VPAs, 4 numbers: 1 within the tolerance, 1 beyond it, 2 that only podfit has, 0 that are only published\n",
        "running pods would request +140m of cpu and +20Mi of memory with podfit's\n",
    ] {
        assert!(text.contains(words), "no `{words}` in\n{text}");
    }
    let lines: Vec<_> = show::csv(&comparison).lines().map(String::from).collect();
    assert_eq!(lines[1], "shop,api,app,cpu,,100,,,1,Percentile");
    assert_eq!(lines[3], "shop,web,app,cpu,230,300,0.3043,3,2,MinAllowed");
    assert!(show::markdown(&comparison).contains("| shop | web | app | cpu | 230m | 300m |"));
    let json = show::json(&comparison);
    assert_eq!(json["moved"], 1);
    assert_eq!(json["moreCpuMillicores"], 140);
    assert_eq!(json["numbers"][3]["differs"], false);
}

#[test]
fn the_tolerance_decides_what_differs() {
    let mut comparison = comparison();
    assert!(comparison.differs());
    comparison.numbers.retain(|number| number.vpa == "web");
    assert!(comparison.differs());
    comparison.tolerance = 3;
    assert!(!comparison.differs());
}
