package herder

import "tributary/connect/group/protocol"

// RequestSigner is a Herder that signs what it sends to other workers of its group with
// the group's session key, and knows their signatures. It is for requests of clients
// that go to another worker over a listener that takes signed ones alone.
type RequestSigner interface {
	// SignRequest seals and signs a request; target is as in protocol.SignedRequest.
	SignRequest(target string, body []byte) (protocol.SignedRequest, error)
	// VerifyRequest refuses what no worker of the group has sealed and signed, or what came
	// before, with a *protocol.SignatureError: everything, while the group has no signatures.
	VerifyRequest(request protocol.SignedRequest) error
	// VerifyInternal is VerifyRequest for the requests that Java has as well, and so takes
	// them as Java sends them: without a seal, and without a signature while the group has
	// none.
	VerifyInternal(request protocol.SignedRequest) error
}
