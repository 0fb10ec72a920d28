//! podfit's own programs, acting and in shadow.

use super::*;

#[test]
fn podfit_itself() {
    let old = lease("podfit", "vpa-updater", "b", "2026-11-26T11:50:00.0Z");
    let set = |f: &mut Facts, leases: Value| f.leases = list(leases);
    let fresh = |name: &str| lease("podfit", name, "x", NOW);
    let others = [
        fresh("vpa-recommender-lease"),
        fresh("vpa-admission-controller"),
    ];
    table(&[
        (
            &|f| set(f, json!([others[0], others[1], old])),
            &[
                "FAIL updater's lease: vpa-updater, b, renewed 600 s ago: nobody updates running pods",
            ],
        ),
        (
            &|f| {
                set(
                    f,
                    json!([
                        others[0],
                        others[1],
                        lease("podfit", "vpa-updater", "", NOW)
                    ]),
                )
            },
            &["FAIL updater's lease: vpa-updater, nobody"],
        ),
        (
            &|f| set(f, json!([others[0], others[1]])),
            &["FAIL updater's lease: there is no lease podfit/vpa-updater"],
        ),
        (
            &|f| {
                f.leases = denied();
                f.deployments = denied();
                f.installation.deployments = denied();
            },
            &[
                "WARN recommender: not checked",
                "WARN updater: not checked",
                "WARN webhook: not checked",
                "WARN recommender's lease: not checked",
                "WARN updater's lease: not checked",
                "WARN webhook's sign of life: not checked",
                "WARN other VPA installs: not checked",
            ],
        ),
        (
            &|f| {
                f.rights.insert(
                    "updater",
                    Ok(vec![rights::Missing {
                        verb: "patch",
                        resource: "pods/resize",
                        group: "",
                    }]),
                );
                f.rights.remove("webhook");
            },
            &[
                "FAIL updater's rights: missing: patch pods/resize",
                "WARN webhook's rights: not checked: its service account is not known",
            ],
        ),
    ]);
}

/// To move targets of HPAs is a right that only some VPAs ask for.
#[test]
fn a_right_that_no_vpa_needs_yet_is_no_failure() {
    use podfit_core::vpa::UpdateMode::{Off, Recreate};
    let lacks = |f: &mut Facts, verb, resource, group| {
        let missing = rights::Missing {
            verb,
            resource,
            group,
        };
        f.rights
            .get_mut("updater")
            .unwrap()
            .as_mut()
            .unwrap()
            .push(missing);
    };
    let hpas = ("horizontalpodautoscalers", "autoscaling");
    let realigns = |f: &mut Facts, update_mode| {
        f.index.vpas.apply(podfit_core::vpa::Vpa {
            namespace: "shop".into(),
            name: "web".into(),
            horizontal: Some(podfit_core::horizontal::Horizontal::Realign),
            update_mode,
            ..podfit_core::vpa::Vpa::default()
        });
    };
    let said = |change: &dyn Fn(&mut Facts)| {
        let mut facts = healthy();
        change(&mut facts);
        let all = complaints(&facts).into_iter();
        all.filter(|line| line.contains("updater's rights"))
            .collect::<Vec<_>>()
    };
    let idle = said(&|f| {
        lacks(f, "patch", hpas.0, hpas.1);
        realigns(f, Off);
    });
    assert_eq!(
        idle,
        [
            "WARN updater's rights: missing: patch horizontalpodautoscalers.autoscaling; no VPA asks for \
          podfit.dev/horizontal: realign, which needs that"
        ]
    );
    let needed = said(&|f| {
        lacks(f, "patch", "scaledobjects", "keda.sh");
        realigns(f, Recreate);
    });
    assert_eq!(
        needed,
        [
            "FAIL updater's rights: missing: patch scaledobjects.keda.sh; until then no target of an HPA moves for VPA \
          shop/web"
        ]
    );
    let blind = said(&|f| {
        lacks(f, "list", hpas.0, hpas.1);
    });
    assert_eq!(
        blind,
        [
            "FAIL updater's rights: missing: list horizontalpodautoscalers.autoscaling; without HPAs it resizes and \
          evicts nothing in profile safe"
        ]
    );
}

/// With `--shadow` of these components.
fn in_shadow(f: &mut Facts, components: &[&str]) {
    if let Answer::Found(list) = &mut f.installation.deployments {
        for deployment in list["items"].as_array_mut().unwrap() {
            let component = &deployment["metadata"]["labels"]["app.kubernetes.io/component"];
            if components.iter().any(|c| component == c) {
                let container = &mut deployment["spec"]["template"]["spec"]["containers"][0];
                container["args"] = json!(["--shadow=true"]);
            }
        }
    }
}

/// Nobody needs a lease, a webhook or a right to write, and another VPA is as it should be.
#[test]
fn a_shadow_is_no_fault() {
    let all = ["recommender", "updater", "webhook"];
    let beside_another = |f: &mut Facts| {
        let upstreams = lease("kube-system", "vpa-updater", "old", NOW);
        f.leases = list(json!([upstreams]));
        f.webhooks = list(json!([]));
        f.chain = Err(Chain::Broken("not asked".into()));
        f.certificate = Err("there is none".into());
    };
    table(&[
        (
            &|f| {
                in_shadow(f, &all);
                beside_another(f);
            },
            &[],
        ),
        (
            &|f| in_shadow(f, &all[..2]),
            &["WARN shadow: of recommender, updater, but not of webhook"],
        ),
    ]);
    let mut facts = healthy();
    in_shadow(&mut facts, &all);
    beside_another(&mut facts);
    let checks = checks(&facts);
    let of = |what: &str| checks.iter().find(|check| check.what == what).unwrap();
    let remedy = of("shadow").remedy.as_deref().unwrap_or_default();
    assert!(remedy.contains("kubectl podfit diff"), "{remedy}");
    let others = &of("other VPA installs").finding;
    assert!(others.contains("lease kube-system/vpa-updater"), "{others}");
}
