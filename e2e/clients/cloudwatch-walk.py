"""Metrics and alarms through boto3: what a monitoring script does. Prints what it saw as JSON."""

import datetime
import json
import os

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

client = boto3.client(
    "cloudwatch",
    endpoint_url=os.environ["LARDER_ENDPOINT"],
    config=Config(retries={"total_max_attempts": 1}),
)
seen = {}
now = datetime.datetime.now(datetime.timezone.utc)
dimensions = [{"Name": "shop", "Value": "boto"}]


def code_of(call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        return [error.response["Error"]["Code"], status]
    return None


# More than 10,240 bytes: it goes compressed.
client.put_metric_data(
    Namespace="Shop",
    MetricData=[
        {
            "MetricName": "orders",
            "Dimensions": dimensions,
            "Timestamp": now - datetime.timedelta(minutes=5, milliseconds=index),
            "Value": index,
            "Unit": "Count",
        }
        for index in range(200)
    ],
)
client.put_metric_data(
    Namespace="Shop", MetricData=[{"MetricName": "orders", "Dimensions": dimensions, "Values": [1, 2], "Counts": [3, 1]}]
)
statistics = client.get_metric_statistics(
    Namespace="Shop",
    MetricName="orders",
    Dimensions=dimensions,
    StartTime=now - datetime.timedelta(minutes=10),
    EndTime=now + datetime.timedelta(minutes=1),
    Period=3600,
    Statistics=["SampleCount", "Maximum"],
    ExtendedStatistics=["p50"],
    Unit="Count",
)
seen["statistics"] = [
    [point["SampleCount"], point["Maximum"], point["ExtendedStatistics"]["p50"], point["Unit"]]
    for point in statistics["Datapoints"]
]
seen["metrics"] = [
    [metric["MetricName"], metric["Dimensions"]]
    for page in client.get_paginator("list_metrics").paginate(Namespace="Shop")
    for metric in page["Metrics"]
]
pages = client.get_paginator("get_metric_data").paginate(
    MetricDataQueries=[
        {
            "Id": "orders",
            "MetricStat": {
                "Metric": {"Namespace": "Shop", "MetricName": "orders", "Dimensions": dimensions},
                "Period": 3600,
                "Stat": "SampleCount",
                "Unit": "Count",
            },
            "ReturnData": False,
        },
        {"Id": "twice", "Expression": "orders * 2", "Label": "Twice"},
    ],
    StartTime=now - datetime.timedelta(minutes=10),
    EndTime=now + datetime.timedelta(minutes=1),
)
seen["math"] = [[result["Label"], result["Values"]] for page in pages for result in page["MetricDataResults"]]

topic = "arn:aws:sns:us-east-1:000000000000:ops"
client.put_metric_alarm(
    AlarmName="boto",
    AlarmDescription="von boto3: ä",
    Namespace="Shop",
    MetricName="orders",
    Dimensions=dimensions,
    Statistic="Sum",
    Period=60,
    EvaluationPeriods=2,
    Threshold=0.5,
    ComparisonOperator="LessThanThreshold",
    AlarmActions=[topic],
    Tags=[{"Key": "team", "Value": "shop"}],
)
client.get_waiter("alarm_exists").wait(AlarmNames=["boto"], WaiterConfig={"Delay": 0, "MaxAttempts": 3})
client.put_composite_alarm(AlarmName="either", AlarmRule="ALARM(boto) OR INSUFFICIENT_DATA(boto)")
client.get_waiter("composite_alarm_exists").wait(
    AlarmNames=["either"], AlarmTypes=["CompositeAlarm"], WaiterConfig={"Delay": 0, "MaxAttempts": 3}
)
alarm = client.describe_alarms(AlarmNames=["boto"])["MetricAlarms"][0]
seen["alarm"] = [
    alarm["AlarmArn"],
    alarm["AlarmDescription"],
    alarm["Threshold"],
    alarm["Dimensions"],
    alarm["AlarmActions"],
    alarm["ActionsEnabled"],
    isinstance(alarm["StateUpdatedTimestamp"], datetime.datetime),
]
seen["tags"] = client.list_tags_for_resource(ResourceARN=alarm["AlarmArn"])["Tags"]
client.set_alarm_state(AlarmName="boto", StateValue="ALARM", StateReason="a drill")
seen["history"] = [
    item["HistorySummary"]
    for page in client.get_paginator("describe_alarm_history").paginate(
        AlarmName="boto", ScanBy="TimestampAscending"
    )
    for item in page["AlarmHistoryItems"]
][:2]
client.put_dashboard(DashboardName="boto", DashboardBody=json.dumps({"widgets": []}))
seen["dashboard"] = client.get_dashboard(DashboardName="boto")["DashboardBody"]
seen["errors"] = [
    code_of(client.put_metric_data, Namespace="AWS/Mine", MetricData=[{"MetricName": "a", "Value": 1}]),
    code_of(client.set_alarm_state, AlarmName="nobody", StateValue="OK", StateReason="r"),
    code_of(client.get_dashboard, DashboardName="nobody"),
    code_of(client.delete_alarms, AlarmNames=["boto"]),
    code_of(client.list_metric_streams),
]
try:
    client.set_alarm_state(AlarmName="nobody", StateValue="OK", StateReason="r")
except client.exceptions.ResourceNotFound as error:
    seen["byClass"] = str(error)
client.delete_alarms(AlarmNames=["boto", "either"])
client.delete_dashboards(DashboardNames=["boto"])
seen["left"] = client.describe_alarms(AlarmTypes=["MetricAlarm", "CompositeAlarm"])["MetricAlarms"]
print(json.dumps(seen))
