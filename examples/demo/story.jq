# What a snapshot of the demo's namespace tells: {items: [objects of all kinds], usage: {"web/server": {cpu, memory}}}.
# `facts` are sentences with keys, of which `run` prints those it has not said yet; `unmet` is what has yet to happen;
# `table` sums up. A workload, its VPA and the label app of its pods have one name.

# An amount in cores or bytes, from Kubernetes' text.
def amount:
  capture("^(?<number>[0-9.]+)(?<unit>[a-zA-Z]*)$")
  | (.number | tonumber) * ({n: 1e-9, u: 1e-6, m: 1e-3, k: 1e3, M: 1e6, G: 1e9, Ki: 1024, Mi: 1048576, Gi: 1073741824}[.unit] // 1);
def show: # what is out-of-memory evidence alone has no CPU
  [(.cpu | values | "\(amount * 1000 | round)m"), (.memory | values | "\(amount / 1048576 | round)Mi")] | join(" ");

def kind($kind): .items[] | select(.kind == $kind);
def workloads: kind("Deployment", "Job");
def pods($app): kind("Pod") | select(.metadata.labels.app == $app and .metadata.deletionTimestamp == null);
def vpa($app): first(kind("VerticalPodAutoscaler") | select(.metadata.name == $app));
def asked($app; $container):
  first(workloads | select(.metadata.name == $app) | .spec.template.spec.containers[] | select(.name == $container) | .resources.requests);
def recommended($app): vpa($app).status.recommendation.containerRecommendations // [];

# What the kubelet has put in force for a container of a pod; of one that ended, what its spec says.
def in_force($container):
  first(.status.containerStatuses[]? | select(.name == $container) | .resources.requests | values)
  // first(.spec.containers[] | select(.name == $container) | .resources.requests);
def resized: .metadata.annotations.vpaInPlaceUpdated == "true";
def made_to_size: .metadata.annotations.vpaUpdates != null;
def ready: any(.status.conditions[]?; .type == "Ready" and .status == "True");
def restarts: [.status.containerStatuses[]?.restartCount] | add // 0;
def differs($snapshot; $app): all(.spec.containers[].name as $c | in_force($c) != ($snapshot | asked($app; $c)); .);

# Events of the updater about pods of a workload, oldest first.
def updates($app):
  [kind("Event") | select(.reason == ("EvictedByVPA", "InPlaceResizedByVPA")) | select(.involvedObject.name | startswith($app + "-"))]
  | sort_by(.metadata.creationTimestamp);
def evictions($app): [updates($app)[] | select(.reason == "EvictedByVPA")] | length;
def why: .message | sub("^.*Reason: "; "");

def facts:
  . as $all
  | [workloads.metadata.name] as $apps
  | [
    ($apps[] as $app | [.usage | to_entries[] | select(.key | startswith($app + "/"))] | select(length > 0)
      | ["used \($app)", "\($app): first measurement: " + ([.[] | "\(.key | sub(".*/"; "")) uses \(.value | show)"] | join(", "))]),
    ($apps[] as $app | recommended($app) | select(length > 0)
      | ["recommended \($app)", "\($app): first recommendation: "
        + ([.[] | .containerName as $c | "\($c) \(.target | show) instead of \($all | asked($app; $c) | show)"] | join(", "))]),
    ($apps[] as $app | pods($app) | .metadata.name as $pod | .status.containerStatuses[]? | select(.lastState.terminated.reason == "OOMKilled")
      | ["killed \($pod) \(.restartCount)", "\($app): container \(.name) was killed for memory (exit code 137), time \(.restartCount)"]),
    ($apps[] as $app | updates($app)[]
      | ["event \(.metadata.uid)", "\($app): \(if .reason == "EvictedByVPA" then "evicted" else "resizing in place" end) \(.involvedObject.name): \(why)"]),
    ($apps[] as $app | pods($app) | select(.status.phase == "Running")
      | ["runs \(.metadata.name)",
        "\($app): pod \(.metadata.name) runs\(if made_to_size then ", made to size by the webhook" else "" end), requests "
        + ([.spec.containers[] | "\(.name) \(.resources.requests | show)"
          + (.resources.limits.memory | if . then " (limit \(amount / 1048576 | round)Mi)" else "" end)] | join(", "))]),
    ($apps[] as $app | pods($app) | select(resized) | .spec.containers[].name as $c | in_force($c) as $now
      | select(.status.phase == "Running" and $now != ($all | asked($app; $c)))
      | ["resized \(.metadata.name) \($c) \($now | show)",
        "\($app): \($c) of \(.metadata.name) now has \($now | show), \(if restarts == 0 then "without a restart" else "after \(restarts) restart\(if restarts == 1 then "" else "s" end)" end)"]),
    (kind("Job") | select(.status.succeeded == 1) | ["done", "\(.metadata.name): the Job ended well, in its first pod"])
  ];

def unmet:
  . as $all | [
    (select([pods("web") | select(resized and restarts == 0 and differs($all; "web"))] | length < 2)
      | "both pods of web resized in place, with no restart"),
    (select(([pods("api") | select(made_to_size and ready)] | length < 2) or evictions("api") < 2)
      | "both pods of api evicted and made anew to size"),
    (select([pods("model") | select(ready and restarts > 0)] == [] or (.usage["model/server"].memory // "0" | amount) < 280 * 1048576)
      | "model killed for memory, and running with the 300Mi that it needs"),
    (select([kind("Job") | select(.status.succeeded == 1)] == [] or [pods("report") | select(resized and differs($all; "report"))] == [] or evictions("report") > 0)
      | "the Job resized in place and ended, with no eviction")
  ];

def applied($app):
  if evictions($app) > 0 then "evicted, made anew"
  elif any(pods($app); resized) then "in place\(if any(pods($app); restarts > 0) then ", after kill" else "" end)"
  else "-" end;

def table:
  . as $all
  | [["WORKLOAD", "CONTAINER", "USED", "REQUESTED BEFORE", "RECOMMENDED", "REQUESTED NOW", "APPLIED", "WHY"]]
    + [workloads | .metadata.name as $app | .spec.template.spec.containers | to_entries[] | .value.name as $c
      | [$app, $c, ($all.usage["\($app)/\($c)"] // null | if . then show else "-" end),
        (.value.resources.requests | show),
        ($all | first(recommended($app)[] | select(.containerName == $c) | .target | show) // "-"),
        ($all | first(pods($app) | in_force($c) | show) // "-"),
        ($all | applied($app)),
        ($all | [updates($app)[] | why] | (map(select(contains("killed for memory")))[-1:] + map(select(contains("container \($c) ")))
          + map("with its pod: " + .))[0] // "-")]]
  | (transpose | map(map(length) | max)) as $widths
  | .[] | [., $widths] | transpose[:-1] + [[.[0][-1], 0]]
  | map(.[0] + " " * (.[1] - (.[0] | length))) | join("  ");
