package herder

import "tributary/connect/group/protocol"

// RequestSigner is a Herder that signs what it sends to other workers of its group with
// the group's session key, and knows their signatures. It is for requests of clients
// that go to another worker over a listener that takes signed ones alone.
type RequestSigner interface {
	// SignRequest signs content, which says all that the request does.
	SignRequest(content []byte) (protocol.SignedRequest, error)
	// VerifyRequest refuses what no worker of the group has signed with a
	// *protocol.SignatureError: everything, while the group has no signatures.
	VerifyRequest(request protocol.SignedRequest) error
}
