package kafka

import (
	"context"
	"time"

	"github.com/IBM/sarama"
)

// fenceTimeout is the transaction time-out of a producer that only fences and never sends.
const fenceTimeout = time.Millisecond

// The numbers of ACLs are Kafka's own.
type (
	ACLResourceType int8
	ACLPatternType  int8
	ACLOperation    int8
	ACLPermission   int8
)

// What ACLs speak of.
const (
	ACLResourceAny             ACLResourceType = 1
	ACLResourceTopic           ACLResourceType = 2
	ACLResourceGroup           ACLResourceType = 3
	ACLResourceCluster         ACLResourceType = 4
	ACLResourceTransactionalID ACLResourceType = 5

	ACLPatternAny      ACLPatternType = 1
	ACLPatternMatch    ACLPatternType = 2
	ACLPatternLiteral  ACLPatternType = 3
	ACLPatternPrefixed ACLPatternType = 4

	ACLOperationAny             ACLOperation = 1
	ACLOperationAll             ACLOperation = 2
	ACLOperationRead            ACLOperation = 3
	ACLOperationWrite           ACLOperation = 4
	ACLOperationCreate          ACLOperation = 5
	ACLOperationDelete          ACLOperation = 6
	ACLOperationAlter           ACLOperation = 7
	ACLOperationDescribe        ACLOperation = 8
	ACLOperationClusterAction   ACLOperation = 9
	ACLOperationDescribeConfigs ACLOperation = 10
	ACLOperationAlterConfigs    ACLOperation = 11
	ACLOperationIdempotentWrite ACLOperation = 12

	ACLPermissionAny   ACLPermission = 1
	ACLPermissionDeny  ACLPermission = 2
	ACLPermissionAllow ACLPermission = 3
)

// ACL is one access control entry with the resource it is bound to. As a filter, Any and the empty
// string match everything.
type ACL struct {
	ResourceType ACLResourceType
	ResourceName string
	PatternType  ACLPatternType
	Principal    string // User:name
	Host         string // * for all
	Operation    ACLOperation
	Permission   ACLPermission
}

// DescribeACLs lists the ACLs that match a filter. A cluster without an authorizer answers
// ErrSecurityDisabled.
func (a *Admin) DescribeACLs(ctx context.Context, filter ACL) ([]ACL, error) {
	optional := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	var acls []ACL
	err := a.client.retry(ctx, "describing ACLs", func() error {
		return a.client.anyBroker(ctx, func(b *sarama.Broker) error {
			resp, err := b.DescribeAcls(&sarama.DescribeAclsRequest{Version: 2, AclFilter: sarama.AclFilter{
				ResourceType: sarama.AclResourceType(filter.ResourceType), ResourceName: optional(filter.ResourceName),
				ResourcePatternTypeFilter: sarama.AclResourcePatternType(filter.PatternType),
				Principal:                 optional(filter.Principal), Host: optional(filter.Host),
				Operation: sarama.AclOperation(filter.Operation), PermissionType: sarama.AclPermissionType(filter.Permission),
			}})
			if err != nil {
				return err
			}
			if err := a.cfg.answerError(resp.Err, resp.ErrMsg, OpDescribeACLs, ""); err != nil {
				return err
			}
			acls = nil
			for _, r := range resp.ResourceAcls {
				for _, e := range r.Acls {
					acls = append(acls, ACL{
						ResourceType: ACLResourceType(r.ResourceType), ResourceName: r.ResourceName,
						PatternType: ACLPatternType(r.ResourcePatternType), Principal: e.Principal, Host: e.Host,
						Operation: ACLOperation(e.Operation), Permission: ACLPermission(e.PermissionType),
					})
				}
			}
			return nil
		})
	})
	return acls, err
}

// CreateACLs adds ACLs; those that exist are no error. The map holds the failures by index.
func (a *Admin) CreateACLs(ctx context.Context, acls ...ACL) (map[int]error, error) {
	failed := make(map[int]error)
	if len(acls) == 0 {
		return failed, nil
	}
	req := &sarama.CreateAclsRequest{Version: 2}
	for _, e := range acls {
		req.AclCreations = append(req.AclCreations, &sarama.AclCreation{
			Resource: sarama.Resource{
				ResourceType: sarama.AclResourceType(e.ResourceType), ResourceName: e.ResourceName,
				ResourcePatternType: sarama.AclResourcePatternType(e.PatternType),
			},
			Acl: sarama.Acl{
				Principal: e.Principal, Host: e.Host, Operation: sarama.AclOperation(e.Operation),
				PermissionType: sarama.AclPermissionType(e.Permission),
			},
		})
	}
	err := a.client.retry(ctx, "creating ACLs", func() error {
		return a.client.onController(ctx, func(b *sarama.Broker) error {
			resp, err := b.CreateAcls(req)
			if resp == nil {
				return err
			}
			clear(failed)
			for i, r := range resp.AclCreationResponses {
				if err := a.cfg.answerError(r.Err, r.ErrMsg, OpCreateACLs, ""); err != nil {
					failed[i] = err
				}
			}
			return nil
		})
	})
	return failed, err
}
