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

// GroupPermissions asks what this client may do with consumer groups, which need not
// exist; nothing may be done with those in denied. Every broker is asked: looking for the
// coordinator would make the topic of offsets on a cluster that never had a group.
func (a *Admin) GroupPermissions(ctx context.Context, ids ...string) (may map[string]Permissions, denied map[string]bool, err error) {
	if len(ids) == 0 {
		return nil, nil, nil
	}
	err = a.client.retry(ctx, "asking for permissions on groups", func() error {
		may, denied = make(map[string]Permissions, len(ids)), map[string]bool{}
		for _, id := range ids {
			may[id] = unknownPermissions
		}
		cluster, err := a.client.askMetadata(ctx, nil, true)
		if err != nil {
			return err
		}
		for _, broker := range cluster.Brokers {
			err := a.client.onBroker(ctx, broker.ID(), func(b *sarama.Broker) error {
				// The last version that tells what may be done with a group that does not exist.
				resp, err := b.DescribeGroups(&sarama.DescribeGroupsRequest{Version: 5, Groups: ids, IncludeAuthorizedOperations: true})
				if err != nil {
					return err
				}
				for _, g := range resp.Groups {
					switch g.Err {
					case sarama.ErrNoError:
						may[g.GroupId] = Permissions(g.AuthorizedOperations)
					case sarama.ErrGroupAuthorizationFailed:
						denied[g.GroupId] = true
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return may, denied, err
}

// UnseenTopics asks about topics that the cluster does not show to this client. Those in
// refused it may not create; those in there exist, and nothing may be done with them. The
// broker is asked to look at a request to create them, not to carry it out.
func (a *Admin) UnseenTopics(ctx context.Context, names ...string) (refused, there []string, err error) {
	if len(names) == 0 {
		return nil, nil, nil
	}
	details := make(map[string]*sarama.TopicDetail, len(names))
	for _, name := range names {
		details[name] = &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1}
	}
	err = a.client.retry(ctx, "asking whether topics may be created", func() error {
		refused, there = nil, nil
		return a.client.onController(ctx, func(b *sarama.Broker) error {
			const validateOnly = true
			resp, err := b.CreateTopics(sarama.NewCreateTopicsRequest(sarama.MaxVersion, details, a.cfg.RequestTimeout, validateOnly))
			if err != nil {
				return err
			}
			for name, result := range resp.TopicErrors {
				switch result.Err {
				case sarama.ErrTopicAuthorizationFailed, sarama.ErrClusterAuthorizationFailed:
					refused = append(refused, name)
				case sarama.ErrTopicAlreadyExists:
					there = append(there, name)
				case sarama.ErrNotController:
					return a.cfg.answerError(result.Err, result.ErrMsg, OpCreate, name)
				}
			}
			return nil
		})
	})
	return refused, there, err
}
