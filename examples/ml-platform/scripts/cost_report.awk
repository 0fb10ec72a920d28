# The arithmetic of cost_report.sh: tables of what was recommended, used and requested in, a report out.
# Lines of `prices` are resource,unit,price. A month has 730 hours.

BEGIN {
  month = 730
  while ((getline line < prices) > 0) {
    split(line, price, ",")
    if (price[1] == "cpu") core = price[3] + 0
    if (price[1] == "memory") gib = price[3] + 0
  }
  if (core <= 0 || gib <= 0) {
    print prices ": a price of cpu and one of memory are needed, in lines such as cpu,core,0.0316" > "/dev/stderr"
    failed = 1
    exit 1
  }
}

# Cores, of a quantity such as 250m.
function cores(text) {
  if (text ~ /n$/) return text / 1e9
  if (text ~ /u$/) return text / 1e6
  if (text ~ /m$/) return text / 1e3
  return text + 0
}

# GiB, of a quantity such as 128Mi.
function gibs(text, unit) {
  unit = text
  sub(/^[0-9.]+/, "", unit)
  if (unit == "Ki") return text / 1048576
  if (unit == "Mi") return text / 1024
  if (unit == "Gi") return text + 0
  if (unit == "Ti") return text * 1024
  if (unit == "k") return text * 1e3 / 1073741824
  if (unit == "M") return text * 1e6 / 1073741824
  if (unit == "G") return text * 1e9 / 1073741824
  if (unit == "m") return text / 1e3 / 1073741824
  return text / 1073741824
}

part == "recommended" { cpu_for[$1, $2] = $3; memory_for[$1, $2] = $4 }
part == "used" { cpu_of[$1, $2] = cores($3); memory_of[$1, $2] = gibs($4); measured[$1, $2] = 1 }
part == "requested" {
  workload = $3
  # A Deployment's pods belong to a ReplicaSet that is named by it and the hash.
  if ($2 == "ReplicaSet" && $4 != "-") sub("-" $4 "$", "", workload)
  key = workload "\t" $5
  if (!(key in pods)) order[++count] = key
  pods[key]++
  cpu = cores($6); memory = gibs($7)
  add(key, "requested", cpu, memory)
  # A pod too young for figures counts as using what it requests: nothing is said of it.
  if (($1, $5) in measured) add(key, "used", cpu_of[$1, $5], memory_of[$1, $5])
  else { add(key, "used", cpu, memory); young++ }
  if ((workload, $5) in cpu_for) {
    if (cpu_for[workload, $5] != "-") cpu = cores(cpu_for[workload, $5])
    if (memory_for[workload, $5] != "-") memory = gibs(memory_for[workload, $5])
  } else without[key] = 1
  add(key, "recommended", cpu, memory)
}

function add(key, what, cpu, memory) {
  c[key, what] += cpu; m[key, what] += memory
  c["all", what] += cpu; m["all", what] += memory
}

function cost(key, what) { return (c[key, what] * core + m[key, what] * gib) * month }

function arithmetic(what) {
  printf "%-12s %.3f cores x %s x %d h + %.3f GiB x %s x %d h = %.2f + %.2f = %.2f\n", what ":", c["all", what], core, month,
    m["all", what], gib, month, c["all", what] * core * month, m["all", what] * gib * month, cost("all", what)
}

END {
  if (failed) exit 1
  if (only == "total") {
    printf "%.4f %.4f %.4f\n", cost("all", "requested"), cost("all", "used"), cost("all", "recommended")
    exit
  }
  printf "%-34s %4s  %-26s  %-26s  %s\n", "", "", "cores", "MiB", "USD a month"
  printf "%-34s %4s  %8s %8s %8s  %8s %8s %8s  %8s %8s %8s\n", "workload/container", "pods", "request", "use", "recomm.",
    "request", "use", "recomm.", "request", "use", "recomm."
  for (i = 1; i <= count; i++) {
    key = order[i]
    name = key
    sub("\t", "/", name)
    mark = (key in without) ? "*" : " "
    printf "%-34s %4d  %8.3f %8.3f %7.3f%s  %8.0f %8.0f %7.0f%s  %8.2f %8.2f %8.2f\n", name, pods[key],
      c[key, "requested"], c[key, "used"], c[key, "recommended"], mark,
      m[key, "requested"] * 1024, m[key, "used"] * 1024, m[key, "recommended"] * 1024, mark,
      cost(key, "requested"), cost(key, "used"), cost(key, "recommended")
  }
  print "* no recommendation: what is requested now"
  if (young) printf "%d containers have no figure of use yet: what they request stands for it\n", young
  printf "\nUSD a month, at the prices of %s:\n", prices
  arithmetic("requested"); arithmetic("used"); arithmetic("recommended")
  saved = cost("all", "requested") - cost("all", "recommended")
  printf "with what is recommended: %.2f %s a month\n", (saved < 0 ? -saved : saved), (saved < 0 ? "more" : "less")
  printf "used of what is requested: CPU %.0f %%, memory %.0f %%\n", share(c["all", "used"], c["all", "requested"]),
    share(m["all", "used"], m["all", "requested"])
}

function share(part_of, whole) { return whole ? 100 * part_of / whole : 0 }
