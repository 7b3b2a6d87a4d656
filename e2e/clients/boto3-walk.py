"""A group's life through boto3: waiters, paginators, errors by class and by code. Prints what it saw as JSON."""

import json
import os

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, WaiterError

client = boto3.client(
    "elasticache",
    endpoint_url=os.environ["LARDER_ENDPOINT"],
    config=Config(retries={"total_max_attempts": 1}),
)
often = {"Delay": 0.1, "MaxAttempts": 300}
seen = {}


def group():
    return client.describe_replication_groups(ReplicationGroupId="boto")["ReplicationGroups"][0]


def code_of(call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        return [error.response["Error"]["Code"], type(error).__name__, status]
    return None


seen["created"] = client.create_replication_group(
    ReplicationGroupId="boto",
    ReplicationGroupDescription="von boto3: ä",
    Engine="valkey",
    NumCacheClusters=2,
    AutomaticFailoverEnabled=True,
    Tags=[{"Key": "team", "Value": "shop"}],
)["ReplicationGroup"]["Status"]
client.get_waiter("replication_group_available").wait(ReplicationGroupId="boto", WaiterConfig=often)
client.get_waiter("cache_cluster_available").wait(CacheClusterId="boto-001", WaiterConfig=often)
available = group()
seen["available"] = [available["Status"], available["Description"]]
seen["endpoint"] = available["NodeGroups"][0]["PrimaryEndpoint"]

client.modify_replication_group(
    ReplicationGroupId="boto", CacheNodeType="cache.t4g.small", ApplyImmediately=True
)
client.get_waiter("replication_group_available").wait(ReplicationGroupId="boto", WaiterConfig=often)
seen["nodeType"] = group()["CacheNodeType"]
seen["tags"] = client.list_tags_for_resource(ResourceName=available["ARN"])["TagList"]

pages = list(
    client.get_paginator("describe_cache_parameters").paginate(
        CacheParameterGroupName="default.valkey9", PaginationConfig={"PageSize": 20}
    )
)
names = [each["ParameterName"] for page in pages for each in page["Parameters"]]
seen["parameters"] = {"pages": len(pages), "names": len(names), "distinct": len(set(names))}
seen["defaults"] = sum(
    len(page["EngineDefaults"]["Parameters"])
    for page in client.get_paginator("describe_engine_default_parameters").paginate(
        CacheParameterGroupFamily="valkey9"
    )
)
seen["members"] = [
    [cluster["CacheClusterId"], cluster["CacheNodes"][0]["CustomerAvailabilityZone"]]
    for page in client.get_paginator("describe_cache_clusters").paginate(ShowCacheNodeInfo=True)
    for cluster in page["CacheClusters"]
]

seen["errors"] = [
    code_of(client.describe_replication_groups, ReplicationGroupId="nobody"),
    code_of(client.describe_cache_clusters, CacheClusterId="nobody"),
    code_of(client.create_replication_group, ReplicationGroupId="boto", ReplicationGroupDescription="x"),
    code_of(client.describe_users, UserId="nobody"),
    code_of(client.increase_replica_count, ReplicationGroupId="boto", NewReplicaCount=1, ApplyImmediately=True),
    code_of(client.describe_serverless_caches),
]
try:
    client.describe_replication_groups(ReplicationGroupId="nobody")
except client.exceptions.ReplicationGroupNotFoundFault as fault:
    seen["byClass"] = str(fault)
try:
    client.get_waiter("replication_group_deleted").wait(ReplicationGroupId="boto", WaiterConfig=often)
except WaiterError as error:
    seen["waiter"] = str(error)

seen["deleting"] = client.delete_replication_group(ReplicationGroupId="boto")["ReplicationGroup"]["Status"]
client.get_waiter("replication_group_deleted").wait(ReplicationGroupId="boto", WaiterConfig=often)
seen["events"] = [
    event["Message"]
    for page in client.get_paginator("describe_events").paginate(
        SourceType="replication-group", PaginationConfig={"PageSize": 20}
    )
    for event in page["Events"]
]
print(json.dumps(seen))
