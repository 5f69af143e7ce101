package kafka

import (
	"context"
	"math"

	"github.com/IBM/sarama"
)

// Permission is an operation that an ACL allows, by its code in Kafka's protocol.
type Permission int8

// The permissions that mirrors and workers need.
const (
	MayRead            Permission = 3
	MayWrite           Permission = 4
	MayCreate          Permission = 5
	MayAlter           Permission = 7
	MayDescribe        Permission = 8
	MayDescribeConfigs Permission = 10
	MayAlterConfigs    Permission = 11
)

var permissionNames = map[Permission]string{
	MayRead: "READ", MayWrite: "WRITE", MayCreate: "CREATE", MayAlter: "ALTER", MayDescribe: "DESCRIBE",
	MayDescribeConfigs: "DESCRIBE_CONFIGS", MayAlterConfigs: "ALTER_CONFIGS",
}

// String is the operation's name as kafka-acls has it.
func (p Permission) String() string { return permissionNames[p] }

// Permissions are what this client's principal may do with a resource (KIP-430), or
// unknown when the broker does not say.
type Permissions int32

const unknownPermissions Permissions = math.MinInt32

// Allows reports whether p is among them; what is unknown counts as allowed.
func (ps Permissions) Allows(p Permission) bool {
	return ps == unknownPermissions || ps&(1<<p) != 0
}

// Permissions asks what this client may do with the cluster and with the topics that it
// may see. It changes nothing.
func (a *Admin) Permissions(ctx context.Context) (cluster Permissions, topics map[string]Permissions, err error) {
	var resp *sarama.MetadataResponse
	err = a.client.retry(ctx, "asking for permissions", func() error {
		return a.client.anyBroker(ctx, func(b *sarama.Broker) (err error) {
			// The last version that tells of the cluster, too.
			resp, err = b.GetMetadata(&sarama.MetadataRequest{Version: 9, IncludeClusterAuthorizedOperations: true, IncludeTopicAuthorizedOperations: true})
			return err
		})
	})
	if err != nil {
		return 0, nil, err
	}
	topics = make(map[string]Permissions, len(resp.Topics))
	for _, t := range resp.Topics {
		if t.Err == sarama.ErrNoError || len(t.Partitions) > 0 {
			topics[t.Name] = Permissions(t.TopicAuthorizedOperations)
		}
	}
	return Permissions(resp.ClusterAuthorizedOperations), topics, nil
}
