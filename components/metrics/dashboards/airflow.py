"""What Airflow says of itself."""

from components.metrics.dashboards.panels import CHOSEN as A
from components.metrics.dashboards.panels import Dashboard, Panel, Query

BEATS = (
    ("scheduler", "airflow_scheduler_heartbeat"),
    ("dag-processor", "airflow_dag_processor_heartbeat"),
    ("triggerer", "airflow_triggerer_heartbeat"),
)


def _sum(expression: str, by: str = "airflow") -> str:
    return f"sum by ({by}) ({expression})"


GLANCE = Dashboard(
    "airflow-glance",
    "At a glance",
    "All Airflows: do they live, do they work, do they have room?",
    (
        Panel(
            "Schedulers that beat",
            "Beats a minute of all schedulers of an Airflow, about 12 each. 0: no task starts.",
            "short",
            [Query(_sum(f"rate(airflow_scheduler_heartbeat{{{A}}}[$__rate_interval]) * 60"))],
            "statsd",
            "stat",
            6,
        ),
        Panel(
            "Tasks running",
            "Slots of all pools that are taken by a task that runs, now.",
            "short",
            [Query(_sum(f"airflow_pool_running_slots{{{A}}}"))],
            "statsd",
            "stat",
            6,
        ),
        Panel(
            "Tasks queued",
            "Handed to an executor and not yet running. Many, for long: workers, quota or nodes are full.",
            "short",
            [Query(_sum(f"airflow_pool_queued_slots{{{A}}}"))],
            "statsd",
            "stat",
            6,
        ),
        Panel(
            "DAG files that can't be imported",
            "0 is what it should be. The UI names them.",
            "short",
            [Query(f"max by (airflow) (airflow_dag_processing_import_errors{{{A}}})")],
            "statsd",
            "stat",
            6,
        ),
        Panel(
            "Alerts that are firing",
            "By name. Each has a page in docs/runbooks. Empty is good.",
            "short",
            [Query('sum by (alertname, airflow) (ALERTS{alertstate="firing"})', "{{alertname}} {{airflow}}")],
            "prometheus",
            quiet=True,
        ),
        Panel(
            "Tasks that ended, by the hour",
            "Succeeded and failed.",
            "short",
            [
                Query(_sum(f"increase(airflow_ti_successes{{{A}}}[1h])"), "{{airflow}} succeeded"),
                Query(_sum(f"increase(airflow_ti_failures{{{A}}}[1h])"), "{{airflow}} failed"),
            ],
            "statsd",
            quiet=True,
        ),
        Panel(
            "CPU of an Airflow's pods",
            "All of its namespace, tasks included.",
            "cores",
            [Query(_sum(f"rate(container_cpu_usage_seconds_total{{{A}}}[$__rate_interval])"))],
            "kubelet",
        ),
        Panel(
            "Memory of an Airflow's pods",
            "All of its namespace, tasks included: what can't be taken back from them.",
            "bytes",
            [Query(_sum(f"container_memory_working_set_bytes{{{A}}}"))],
            "kubelet",
        ),
    ),
)

SCHEDULER = Dashboard(
    "airflow-scheduler",
    "Scheduler and DAG processing",
    "Does everything beat, how long does a round take, how late are runs?",
    (
        Panel(
            "Heartbeats a minute",
            "About 12 of each scheduler and each triggerer. 0 is an alert.",
            "short",
            [
                Query(_sum(f"rate({metric}{{{A}}}[$__rate_interval]) * 60"), f"{{{{airflow}}}} {part}")
                for part, metric in BEATS
            ],
            "statsd",
        ),
        Panel(
            "A scheduler's round",
            "How long one loop takes, the slowest tenth. Seconds: the database, or too many runs at once.",
            "s",
            [Query(f'max by (airflow) (airflow_scheduler_scheduler_loop_duration{{{A}, quantile="0.9"}})')],
            "statsd",
        ),
        Panel(
            "The critical section",
            "How long tasks are chosen under a lock that schedulers share, the slowest tenth.",
            "s",
            [Query(f'max by (airflow) (airflow_scheduler_critical_section_duration{{{A}, quantile="0.9"}})')],
            "statsd",
        ),
        Panel(
            "Runs that run",
            "DAG runs in state running.",
            "short",
            [Query(f"max by (airflow) (airflow_scheduler_dagruns_running{{{A}}})")],
            "statsd",
        ),
        Panel(
            "How late runs begin",
            "Between the end of the interval and the begin of the run, the slowest tenth by DAG.",
            "s",
            [
                Query(
                    f'max by (airflow, dag_id) (airflow_dagrun_schedule_delay{{{A}, quantile="0.9"}})',
                    "{{airflow}} {{dag_id}}",
                )
            ],
            "statsd",
            quiet=True,
        ),
        Panel(
            "Tasks ready and held back",
            "Executable in this round; starving: no slot in their pool.",
            "short",
            [
                Query(f"max by (airflow) (airflow_scheduler_tasks_executable{{{A}}})", "{{airflow}} executable"),
                Query(f"max by (airflow) (airflow_scheduler_tasks_starving{{{A}}})", "{{airflow}} starving"),
            ],
            "statsd",
        ),
        Panel(
            "Reading all DAG files",
            "How long one round over all files takes.",
            "s",
            [Query(f"max by (airflow) (airflow_dag_processing_total_parse_time{{{A}}})")],
            "statsd",
        ),
        Panel(
            "The slowest DAG files",
            "How long each of the ten slowest takes to read.",
            "s",
            [
                Query(
                    "topk(10, max by (airflow, dag_file) "
                    f'(airflow_dag_processing_last_duration{{{A}, quantile="0.9"}}))',
                    "{{airflow}} {{dag_file}}",
                )
            ],
            "statsd",
        ),
    ),
)

TASKS = Dashboard(
    "airflow-tasks",
    "Tasks and executors",
    "Slots, queues, durations, failures.",
    (
        Panel(
            "Slots",
            "Of the executors: running, queued, open. What waits in a broker or for a node counts as running.",
            "short",
            [
                Query(
                    _sum(f"airflow_executor_{kind}{{{A}}}", "airflow, executor"),
                    f"{{{{airflow}}}} {{{{executor}}}} {said}",
                )
                for kind, said in (("running_tasks", "running"), ("queued_tasks", "queued"), ("open_slots", "open"))
            ],
            "statsd",
        ),
        Panel(
            "Pools: open slots",
            "0 for long: tasks of this pool wait for one another.",
            "short",
            [Query(f"max by (airflow, pool) (airflow_pool_open_slots{{{A}}})", "{{airflow}} {{pool}}")],
            "statsd",
        ),
        Panel(
            "Pools: waiting tasks",
            "Queued and scheduled, by pool.",
            "short",
            [
                Query(f"max by (airflow, pool) (airflow_pool_queued_slots{{{A}}})", "{{airflow}} {{pool}} queued"),
                Query(
                    f"max by (airflow, pool) (airflow_pool_scheduled_slots{{{A}}})", "{{airflow}} {{pool}} scheduled"
                ),
            ],
            "statsd",
        ),
        Panel(
            "Messages in the broker",
            "Tasks that no worker has taken, by queue; where the broker is a Redis of the platform's.",
            "short",
            [Query(f"sum by (airflow, key) (redis_key_size{{{A}}})", "{{airflow}} {{key}}")],
            "redis",
            quiet=True,
        ),
        Panel(
            "Messages in RabbitMQ",
            "Of all queues together: those that no worker has taken, and those whose tasks have not ended.",
            "short",
            [
                Query(_sum(f"rabbitmq_queue_messages_ready{{{A}}}"), "{{airflow}} waiting"),
                Query(_sum(f"rabbitmq_queue_messages_unacked{{{A}}}"), "{{airflow}} taken"),
            ],
            "rabbitmq",
        ),
        Panel(
            "Memory of RabbitMQ",
            "Of what it may take. At its limit it takes no task. Above 80% is an alert.",
            "percentunit",
            [
                Query(
                    f"max by (airflow, pod) (rabbitmq_process_resident_memory_bytes{{{A}}} "
                    f"/ (rabbitmq_resident_memory_limit_bytes{{{A}}} > 0))",
                    "{{airflow}} {{pod}}",
                )
            ],
            "rabbitmq",
        ),
        Panel(
            "Memory of Redis",
            "Of what it may take. At its limit it takes no task. Above 80% is an alert.",
            "percentunit",
            [
                Query(
                    f"max by (airflow, pod) (redis_memory_used_bytes{{{A}}} / (redis_memory_max_bytes{{{A}}} > 0))",
                    "{{airflow}} {{pod}}",
                )
            ],
            "redis",
        ),
        Panel(
            "Tasks that ended, by DAG and state",
            "How many a minute.",
            "short",
            [
                Query(
                    _sum(f"rate(airflow_ti_finish{{{A}}}[$__rate_interval]) * 60", "airflow, dag_id, state"),
                    "{{airflow}} {{dag_id}} {{state}}",
                )
            ],
            "statsd",
        ),
        Panel(
            "The longest tasks",
            "The slowest tenth of each, the ten longest.",
            "s",
            [
                Query(
                    f'topk(10, max by (airflow, dag_id, task_id) (airflow_task_duration{{{A}, quantile="0.9"}}))',
                    "{{airflow}} {{dag_id}}.{{task_id}}",
                )
            ],
            "statsd",
        ),
        Panel(
            "From scheduled to queued",
            "The slowest tenth by DAG: the wait for a slot. Airflow 3.3 does not send how long a task is queued.",
            "s",
            [
                Query(
                    f'max by (airflow, dag_id) (airflow_task_scheduled_duration{{{A}, quantile="0.9"}})',
                    "{{airflow}} {{dag_id}}",
                )
            ],
            "statsd",
        ),
        Panel(
            "Failures, by operator",
            "By the hour.",
            "short",
            [
                Query(
                    _sum(f"increase(airflow_operator_failures{{{A}}}[1h])", "airflow, operator"),
                    "{{airflow}} {{operator}}",
                )
            ],
            "statsd",
            quiet=True,
        ),
        Panel(
            "Runs that ended well: duration",
            "The slowest tenth by DAG.",
            "s",
            [
                Query(
                    f'max by (airflow, dag_id) (airflow_dagrun_duration{{{A}, quantile="0.9"}})',
                    "{{airflow}} {{dag_id}}",
                )
            ],
            "statsd",
        ),
        Panel(
            "Triggers",
            "Running, and how many more a triggerer takes.",
            "short",
            [
                Query(_sum(f"airflow_triggers_running{{{A}}}"), "{{airflow}} running"),
                Query(_sum(f"airflow_triggerer_capacity_left{{{A}}}"), "{{airflow}} room"),
            ],
            "statsd",
        ),
    ),
)
