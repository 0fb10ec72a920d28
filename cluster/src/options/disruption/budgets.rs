//! Flags for how many pods are disrupted at one time, and when none is.

use crate::flag_values::not_negative;
use crate::options::GoDuration;
use podfit_core::disruption::{Config, Limit, Limits};

/// How many pods are disrupted at one time. A disruption counts until a pod is ready in the place of the one that went.
///
/// Flags that are not given have the profile's default: in profile upstream there are no such limits.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Disruption budgets")]
pub struct BudgetOptions {
    /// How many of the pods under VPAs may be disrupted at one time, in the whole cluster: a number, or a percentage that
    /// counts as 10 at least, or none for no limit. Not given: 5% in profile safe, none in profile upstream.
    #[arg(long, env = "PODFIT_MAX_DISRUPTIONS", value_name = "N|PERCENT%|none")]
    pub max_disruptions: Option<Limit>,

    /// The same for each namespace; a percentage counts as 5 at least. Not given: 20% in profile safe.
    #[arg(
        long,
        env = "PODFIT_MAX_DISRUPTIONS_PER_NAMESPACE",
        value_name = "N|PERCENT%|none"
    )]
    pub max_disruptions_per_namespace: Option<Limit>,

    /// The same for each VPA, where every replica that is missing or not ready counts, whatever the cause; a percentage is
    /// rounded up. Not given: 25% in profile safe.
    #[arg(
        long,
        env = "PODFIT_MAX_DISRUPTIONS_PER_WORKLOAD",
        value_name = "N|PERCENT%|none"
    )]
    pub max_disruptions_per_workload: Option<Limit>,

    /// How long nothing is disrupted after this replica began to lead. Not given: 3m in profile safe, 0 in profile
    /// upstream.
    #[arg(long, env = "PODFIT_WARM_UP", value_name = "DURATION")]
    pub warm_up: Option<GoDuration>,

    /// A plan that wants to disrupt more than so many times as many pods as is the norm gets no more than the norm. 0: any
    /// plan is carried out. Not given: 3 in profile safe, 0 in profile upstream.
    #[arg(long, env = "PODFIT_DISRUPTION_BREAKER", value_parser = not_negative, value_name = "TIMES")]
    pub disruption_breaker: Option<f64>,
}

impl BudgetOptions {
    /// Puts what is given into `config`.
    pub fn apply(&self, config: &mut Config) {
        let defaults = config.limits;
        config.limits = Limits {
            cluster: self.max_disruptions.unwrap_or(defaults.cluster),
            namespace: self
                .max_disruptions_per_namespace
                .unwrap_or(defaults.namespace),
            workload: self
                .max_disruptions_per_workload
                .unwrap_or(defaults.workload),
        };
        config.warm_up = self.warm_up.map_or(config.warm_up, |warm_up| warm_up.0);
        config.breaker_factor = self.disruption_breaker.unwrap_or(config.breaker_factor);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser;
    use podfit_core::profile::Profile;

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        budgets: BudgetOptions,
    }

    fn config(profile: Profile, arguments: &[&str]) -> Result<Config, clap::Error> {
        let program = Program::try_parse_from([&["program"], arguments].concat())?;
        let mut config = Config::new(profile);
        program.budgets.apply(&mut config);
        Ok(config)
    }

    #[test]
    fn what_is_given_wins_over_the_profile() {
        for profile in [Profile::Safe, Profile::Upstream] {
            assert_eq!(config(profile, &[]).unwrap(), Config::new(profile));
            let config = config(
                profile,
                &[
                    "--max-disruptions=none",
                    "--max-disruptions-per-namespace=7",
                    "--max-disruptions-per-workload=10%",
                    "--warm-up=0s",
                    "--disruption-breaker=2.5",
                ],
            )
            .unwrap();
            let want = Limits {
                cluster: Limit::None,
                namespace: Limit::Count(7),
                workload: Limit::Percent(10.0),
            };
            assert_eq!(config.limits, want);
            assert_eq!(
                (config.warm_up, config.breaker_factor),
                (Duration::ZERO, 2.5)
            );
        }
        for wrong in [
            "--max-disruptions=x",
            "--warm-up=-1s",
            "--disruption-breaker=-1",
        ] {
            assert!(config(Profile::Safe, &[wrong]).is_err(), "{wrong}");
        }
    }
}
