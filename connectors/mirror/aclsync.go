package mirror

import (
	"context"
	"errors"
	"fmt"

	"tributary/internal/kafka"
)

// allTopics is the resource name of an ACL for every topic.
const allTopics = "*"

// topicACLs matches every ACL on topics.
var topicACLs = kafka.ACL{
	ResourceType: kafka.ACLResourceTopic, PatternType: kafka.ACLPatternAny,
	Operation: kafka.ACLOperationAny, Permission: kafka.ACLPermissionAny,
}

// syncACLs gives remote topics the ACLs of their sources, less the right to write.
// ACLs are only ever added.
func (c *SourceConnector) syncACLs(ctx context.Context) error {
	found, err := c.source.admin.DescribeACLs(ctx, topicACLs)
	if errors.Is(err, kafka.ErrSecurityDisabled) {
		c.logger.Debug("The source has no ACLs to carry over", "cluster", c.settings.source)
		return nil
	}
	if err != nil {
		return fmt.Errorf("describe ACLs on cluster %s: %w", c.settings.source, err)
	}
	there := map[kafka.ACL]bool{}
	// To know what is there saves writing it again. Not to know costs only that.
	if known, err := c.target.admin.DescribeACLs(ctx, topicACLs); err == nil {
		for _, acl := range known {
			there[acl] = true
		}
	}
	var missing []kafka.ACL
	for _, acl := range found {
		remote, ok := c.remoteACL(acl)
		if ok && !there[remote] {
			there[remote] = true
			missing = append(missing, remote)
		}
	}
	if len(missing) == 0 {
		c.drift.acls = 0
		c.metrics.drift.Set(float64(c.drift.properties))
		return nil
	}
	failed, err := c.target.admin.CreateACLs(ctx, missing...)
	if err != nil {
		return fmt.Errorf("create ACLs on cluster %s: %w", c.settings.target, err)
	}
	for i, acl := range missing {
		c.troubles.report("acl "+fmt.Sprint(acl), failed[i], "An ACL could not be carried over",
			"topic", acl.ResourceName, "principal", acl.Principal, "cluster", c.settings.target, "operation", "create ACL")
	}
	c.drift.acls = len(failed)
	c.metrics.drift.Set(float64(c.drift.properties + c.drift.acls))
	c.logger.Info("Carried ACLs over", "cluster", c.settings.target, "created", len(missing)-len(failed), "failed", len(failed))
	return nil
}

// remoteACL is what an ACL of the source becomes on the target. The right to write
// stays behind: the mirror alone writes to remote topics. An ACL for all topics of the
// source must not become one for all topics of the target, where others live, too.
func (c *SourceConnector) remoteACL(acl kafka.ACL) (kafka.ACL, bool) {
	if acl.ResourceType != kafka.ACLResourceTopic || acl.PatternType != kafka.ACLPatternLiteral || acl.ResourceName == allTopics {
		return kafka.ACL{}, false
	}
	if acl.Permission == kafka.ACLPermissionAllow && acl.Operation == kafka.ACLOperationWrite {
		return kafka.ACL{}, false
	}
	if !c.view.takes(acl.ResourceName) {
		return kafka.ACL{}, false
	}
	acl.ResourceName = c.settings.remoteTopic(acl.ResourceName)
	if acl.Permission == kafka.ACLPermissionAllow && acl.Operation == kafka.ACLOperationAll {
		acl.Operation = kafka.ACLOperationRead
	}
	return acl, true
}

func isDenied(err error) bool {
	_, denied := errors.AsType[*kafka.AuthorizationError](err)
	return denied
}
