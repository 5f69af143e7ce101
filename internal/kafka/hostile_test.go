package kafka

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Brokers are strangers until they have proven otherwise, and a worker has the tasks of many clusters: whatever one of
// them answers costs its own tasks an error, never the process. Answers are decoded by sarama, those below through
// connections as the worker has them.

// liar is a broker that gives the answers it was told, byte by byte; to all else it says nothing.
type liar struct {
	net.Listener
	answers map[int16][]byte // by the request's key: what follows the correlation id
}

func newLiar(t *testing.T, answers map[int16][]byte) *liar {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	liar := &liar{Listener: l, answers: answers}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			liar.serve(conn)
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return liar
}

// serve answers one connection after the other.
func (l *liar) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	for {
		var size [4]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		request := make([]byte, binary.BigEndian.Uint32(size[:]))
		if _, err := io.ReadFull(conn, request); err != nil {
			return
		}
		key, version := int16(binary.BigEndian.Uint16(request)), int16(binary.BigEndian.Uint16(request[2:]))
		body, ok := l.answers[key]
		if !ok && key == int16(kmsg.ApiVersions) {
			body, ok = allVersions(version), true
		}
		if !ok {
			return
		}
		answer := binary.BigEndian.AppendUint32(nil, uint32(4+len(body)))
		answer = append(append(answer, request[4:8]...), body...)
		if _, err := conn.Write(answer); err != nil || len(body) == 0 { // which a client may take for half a header
			return
		}
	}
}

func allVersions(version int16) []byte {
	answer := kmsg.ApiVersionsResponse{Version: version}
	for key := range int16(kmsg.MaxKey) {
		if request := kmsg.RequestForKey(key); request != nil {
			answer.ApiKeys = append(answer.ApiKeys, kmsg.ApiVersionsResponseApiKey{ApiKey: key, MaxVersion: request.MaxVersion()})
		}
	}
	return answer.AppendTo(nil)
}

// patienceWithLiars is when a call counts as hanging.
const patienceWithLiars = 20 * time.Second

// FuzzFetchAnswers: a whole answer to a fetch request.
func FuzzFetchAnswers(f *testing.F) {
	for _, records := range [][]byte{nil, someBatch(), append(someBatch(), someBatch()...), someBatch()[:70], oldMessage(0), oldMessage(1)} {
		f.Add(fetchAnswer(records), false)
		f.Add(fetchAnswer(records), true)
	}
	whole := fetchAnswer(someBatch())
	f.Add(whole[:len(whole)/2], false)
	f.Add([]byte{}, false)
	f.Fuzz(func(t *testing.T, answer []byte, readCommitted bool) { pullFrom(t, answer, readCommitted) })
}

// FuzzRecordBatches: a batch whose checksum is right, so that its content is looked at.
func FuzzRecordBatches(f *testing.F) {
	valid := someBatch()
	f.Add(int16(0), int32(1), int64(5), int32(2), valid[61:], false)
	f.Add(int16(0x30), int32(0), int64(5), int32(1), []byte{0x20, 0, 0, 0, 8, 0, 0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0}, true)
	for codec := range int16(8) {
		f.Add(codec, int32(1), int64(5), int32(2), valid[61:], false)
	}
	f.Add(int16(0), int32(-1), int64(-5), int32(-1), []byte{}, true)
	f.Add(int16(0), int32(1<<30), int64(1<<62), int32(1000), valid[61:], false)
	for _, codec := range []int16{1, 2, 3, 4} {
		f.Add(codec, int32(1), int64(5), int32(2), compressed(f, codec, valid[61:]), false)
	}
	f.Fuzz(func(t *testing.T, attributes int16, delta int32, first int64, count int32, records []byte, readCommitted bool) {
		pullFrom(t, fetchAnswer(batchOf(attributes, delta, first, count, records)), readCommitted)
	})
}

// pullFrom has a record lane's puller ask a broker that gives this answer, and returns what it told in the end.
func pullFrom(t *testing.T, answer []byte, readCommitted bool) (answers []Answer) {
	t.Helper()
	// The puller tells of being throttled, and sarama waits before the next request, which is another test's matter.
	answer = slices.Clone(answer)
	copy(answer, make([]byte, 4))
	liar := newLiar(t, map[int16][]byte{int16(kmsg.Fetch): append([]byte{0}, answer...)})
	isolation := "read_uncommitted"
	if readCommitted {
		isolation = "read_committed"
	}
	client := newTestClient(t, liar.Addr().String())
	client.brokers = map[int32]string{1: liar.Addr().String()}
	puller := &recordPuller{client: client, cfg: testConfig(t, RoleConsumer, liar.Addr().String(), "isolation.level", isolation), node: 1}
	defer puller.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patienceWithLiars)
	defer cancel()
	asks := []Ask{{TopicPartition{"a", 0}, 5}, {TopicPartition{"a", 1}, 0}, {TopicPartition{"b", 0}, 7}}
	for range 2 { // the second time with its suspects
		var err error
		answers, _, err = puller.Pull(ctx, asks, 0)
		if errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("no answer within %s", patienceWithLiars)
		}
		for _, a := range answers {
			i := slices.IndexFunc(asks, func(ask Ask) bool { return ask.TopicPartition == a.TopicPartition })
			if i < 0 {
				t.Fatalf("an answer for %v, which nobody asked for", a.TopicPartition)
			}
			if a.Refusal == nil && a.NextOffset < asks[i].Offset {
				t.Errorf("%v goes back from %d to %d", a.TopicPartition, asks[i].Offset, a.NextOffset)
			}
			for _, record := range a.Records {
				if record.Offset < asks[i].Offset || record.Topic != a.Topic || record.Partition != a.Partition {
					t.Errorf("asked for %+v, got %+v", asks[i], record)
				}
			}
		}
	}
	return answers
}

// FuzzFirstAnswers: what comes before and during the login.
func FuzzFirstAnswers(f *testing.F) {
	handshake := kmsg.SASLHandshakeResponse{Version: 1, SupportedMechanisms: []string{"PLAIN", "SCRAM-SHA-256"}}
	first := kmsg.SASLAuthenticateResponse{SASLAuthBytes: []byte("r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096")}
	f.Add(allVersions(3), handshake.AppendTo(nil), first.AppendTo(nil), true)
	f.Add(allVersions(3), handshake.AppendTo(nil), first.AppendTo(nil), false)
	f.Add([]byte{0, 35, 0, 0, 0, 0}, handshake.AppendTo(nil)[:3], []byte{}, true)
	f.Add([]byte{}, []byte{0, 0, 0xff, 0xff, 0xff, 0xff}, []byte{0, 0, 0xff, 0xff}, false)
	f.Fuzz(func(t *testing.T, versions, handshake, authenticate []byte, scram bool) {
		liar := newLiar(t, map[int16][]byte{int16(kmsg.ApiVersions): versions, int16(kmsg.SASLHandshake): handshake, int16(kmsg.SASLAuthenticate): authenticate})
		mechanism, module := "PLAIN", "org.apache.kafka.common.security.plain.PlainLoginModule"
		if scram {
			mechanism, module = "SCRAM-SHA-256", "org.apache.kafka.common.security.scram.ScramLoginModule"
		}
		cfg := testConfig(t, RoleAdmin, liar.Addr().String(), "security.protocol", "SASL_PLAINTEXT", "sasl.mechanism", mechanism,
			"sasl.jaas.config", module+` required username="u" password="p";`)
		callLiar(t, cfg, liar, func(b *sarama.Broker) error {
			_, err := b.GetMetadata(sarama.NewMetadataRequest(sarama.MaxVersion, []string{"a"}))
			return err
		})
	})
}

// FuzzProduceAnswers: sarama decodes these on a goroutine of its own.
func FuzzProduceAnswers(f *testing.F) {
	answer := kmsg.ProduceResponse{Version: 10, Topics: []kmsg.ProduceResponseTopic{{Topic: "a", Partitions: []kmsg.ProduceResponseTopicPartition{{
		BaseOffset: 7, ErrorRecords: []kmsg.ProduceResponseTopicPartitionErrorRecord{{RelativeOffset: 1}}}}}}}
	f.Add(answer.AppendTo(nil))
	f.Add(answer.AppendTo(nil)[:9])
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, answer []byte) {
		liar := newLiar(t, map[int16][]byte{int16(kmsg.Produce): append([]byte{0}, answer...)})
		callLiar(t, testConfig(t, RoleProducer, liar.Addr().String()), liar, func(b *sarama.Broker) error {
			request := &sarama.ProduceRequest{Version: 10, RequiredAcks: sarama.WaitForAll}
			request.AddBatch("a", 0, &sarama.RecordBatch{Version: 2, Records: []*sarama.Record{{Value: []byte("v")}}})
			told := make(chan error, 1)
			if err := b.AsyncProduce(request, func(_ *sarama.ProduceResponse, err error) { told <- err }); err != nil {
				return err
			}
			return <-told
		})
	})
}

// FuzzAnswers: all other requests that clients here send, one after the other.
func FuzzAnswers(f *testing.F) {
	f.Add([]byte{})
	for _, answer := range []kmsg.Response{
		&kmsg.MetadataResponse{Version: 9, Brokers: []kmsg.MetadataResponseBroker{{NodeID: 1, Host: "h", Port: 1}}, Topics: []kmsg.MetadataResponseTopic{{Topic: kmsg.StringPtr("a"), Partitions: []kmsg.MetadataResponseTopicPartition{{Leader: 1, Replicas: []int32{1}}}}}},
		&kmsg.ListOffsetsResponse{Version: 4, Topics: []kmsg.ListOffsetsResponseTopic{{Topic: "a", Partitions: []kmsg.ListOffsetsResponseTopicPartition{{Offset: 3}}}}},
		&kmsg.JoinGroupResponse{Version: 6, MemberID: "m", LeaderID: "m", Members: []kmsg.JoinGroupResponseMember{{MemberID: "m", ProtocolMetadata: []byte("x")}}},
		&kmsg.DescribeConfigsResponse{Version: 4, Resources: []kmsg.DescribeConfigsResponseResource{{ResourceName: "a", Configs: []kmsg.DescribeConfigsResponseResourceConfig{{Name: "k"}}}}},
		&kmsg.DescribeACLsResponse{Version: 2, Resources: []kmsg.DescribeACLsResponseResource{{ResourceName: "a", ACLs: []kmsg.DescribeACLsResponseResourceACL{{Principal: "User:p", Host: "*"}}}}},
		&kmsg.OffsetFetchResponse{Version: 7, Topics: []kmsg.OffsetFetchResponseTopic{{Topic: "a", Partitions: []kmsg.OffsetFetchResponseTopicPartition{{Offset: 3}}}}},
	} {
		f.Add(answer.AppendTo(nil))
	}
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x0f, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, body []byte) {
		answers := map[int16][]byte{}
		for key := range int16(kmsg.MaxKey) {
			if key != int16(kmsg.ApiVersions) {
				answers[key] = body
			}
		}
		liar := newLiar(t, answers)
		cfg := testConfig(t, RoleGroup, liar.Addr().String())
		for _, call := range otherCalls {
			callLiar(t, cfg, liar, call)
		}
	})
}

// asked makes a call of a request and a method of sarama's.
func asked[Request, Response any](method func(*sarama.Broker, Request) (Response, error), request Request) func(*sarama.Broker) error {
	return func(b *sarama.Broker) error {
		_, err := method(b, request)
		return err
	}
}

var otherCalls = []func(*sarama.Broker) error{
	asked((*sarama.Broker).GetMetadata, sarama.NewMetadataRequest(sarama.MaxVersion, []string{"a"})),
	asked((*sarama.Broker).GetMetadata, &sarama.MetadataRequest{Version: 9, IncludeClusterAuthorizedOperations: true, IncludeTopicAuthorizedOperations: true}),
	asked((*sarama.Broker).GetAvailableOffsets, sarama.NewOffsetRequest(sarama.MaxVersion)),
	asked((*sarama.Broker).FindCoordinator, &sarama.FindCoordinatorRequest{Version: 3, CoordinatorKey: "g"}),
	asked((*sarama.Broker).JoinGroup, &sarama.JoinGroupRequest{Version: 9, GroupId: "g", ProtocolType: "connect"}),
	asked((*sarama.Broker).SyncGroup, &sarama.SyncGroupRequest{Version: 5, GroupId: "g"}),
	asked((*sarama.Broker).Heartbeat, &sarama.HeartbeatRequest{Version: 4, GroupId: "g"}),
	asked((*sarama.Broker).LeaveGroup, &sarama.LeaveGroupRequest{Version: 5, GroupId: "g"}),
	asked((*sarama.Broker).FetchOffset, sarama.NewOffsetFetchRequest(sarama.MaxVersion, "g", nil)),
	asked((*sarama.Broker).CommitOffset, &sarama.OffsetCommitRequest{Version: 8, ConsumerGroup: "g", RetentionTime: -1}),
	asked((*sarama.Broker).ListGroups, &sarama.ListGroupsRequest{Version: 5}),
	asked((*sarama.Broker).DescribeGroups, &sarama.DescribeGroupsRequest{Version: 5, Groups: []string{"g"}}),
	asked((*sarama.Broker).ConsumerGroupDescribe, sarama.NewConsumerGroupDescribeRequest(sarama.MaxVersion)),
	asked((*sarama.Broker).DeleteGroups, &sarama.DeleteGroupsRequest{Version: 2, Groups: []string{"g"}}),
	asked((*sarama.Broker).DeleteOffsets, &sarama.DeleteOffsetsRequest{Group: "g"}),
	asked((*sarama.Broker).CreateTopics, sarama.NewCreateTopicsRequest(sarama.MaxVersion, nil, time.Second, false)),
	asked((*sarama.Broker).DeleteTopics, sarama.NewDeleteTopicsRequest(sarama.MaxVersion, []string{"a"}, time.Second)),
	asked((*sarama.Broker).CreatePartitions, &sarama.CreatePartitionsRequest{Version: 3, Timeout: time.Second}),
	asked((*sarama.Broker).DeleteRecords, &sarama.DeleteRecordsRequest{Version: 2, Timeout: time.Second}),
	asked((*sarama.Broker).DescribeConfigs, &sarama.DescribeConfigsRequest{Version: 4}),
	asked((*sarama.Broker).IncrementalAlterConfigs, &sarama.IncrementalAlterConfigsRequest{Version: 1}),
	asked((*sarama.Broker).DescribeAcls, &sarama.DescribeAclsRequest{Version: 2}),
	asked((*sarama.Broker).CreateAcls, &sarama.CreateAclsRequest{Version: 2}),
	asked((*sarama.Broker).InitProducerID, &sarama.InitProducerIDRequest{Version: 4, ProducerID: -1, ProducerEpoch: -1}),
	asked((*sarama.Broker).AddPartitionsToTxn, &sarama.AddPartitionsToTxnRequest{Version: 3}),
	asked((*sarama.Broker).EndTxn, &sarama.EndTxnRequest{Version: 3}),
}

// callLiar makes a call on a connection of its own, which must end.
func callLiar(t *testing.T, cfg *Config, liar *liar, call func(*sarama.Broker) error) {
	t.Helper()
	conn, err := open(cfg, liar.Addr().String(), 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.close()
	ctx, cancel := context.WithTimeout(t.Context(), patienceWithLiars)
	defer cancel()
	if err := conn.do(ctx, call); errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("no answer within %s", patienceWithLiars)
	}
}

// A broker may ask to be left alone, for whole days: nobody waits for that who is to end.
func TestAThrottledCallEndsWithItsContextAndItsConnection(t *testing.T) {
	heartbeat := kmsg.HeartbeatResponse{Version: 4, ThrottleMillis: 1 << 30}
	liar := newLiar(t, map[int16][]byte{int16(kmsg.Heartbeat): append([]byte{0}, heartbeat.AppendTo(nil)...)})
	beat := func(b *sarama.Broker) error {
		_, err := b.Heartbeat(&sarama.HeartbeatRequest{Version: 4, GroupId: "g"})
		return err
	}
	for name, end := range map[string]func(*connection, context.CancelFunc){
		"context":    func(_ *connection, cancel context.CancelFunc) { cancel() },
		"connection": func(c *connection, _ context.CancelFunc) { c.close() },
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := open(testConfig(t, RoleGroup, liar.Addr().String()), liar.Addr().String(), 1, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.close()
			if err := conn.do(t.Context(), beat); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ended := make(chan error, 1)
			go func() { ended <- conn.do(ctx, beat) }()
			select {
			case err := <-ended:
				t.Fatalf("a throttled call did not wait: %v", err)
			case <-time.After(20 * time.Millisecond): // it may not have begun to; both ways must end
			}

			end(conn, cancel)

			select {
			case err := <-ended:
				if err == nil {
					t.Error("the call succeeded")
				}
			case <-time.After(patienceWithLiars):
				t.Fatalf("the call still waits after %s", patienceWithLiars)
			}
		})
	}
}

func TestADecoderThatPanicsCostsItsConnectionAlone(t *testing.T) {
	liar := newLiar(t, nil)
	conn, err := open(testConfig(t, RoleAdmin, liar.Addr().String()), liar.Addr().String(), 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.close()

	err = conn.do(testContext(t), func(*sarama.Broker) error { panic("slice bounds out of range") })

	if !broken(err) || !undecodable(t.Context(), err) {
		t.Errorf("%v: broken %t, undecodable %t", err, broken(err), undecodable(t.Context(), err))
	}
	requireSays(t, err, "slice bounds out of range", "hostile_test.go")
}

func requireSays(t *testing.T, err error, words ...string) {
	t.Helper()
	for _, word := range words {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%v does not say %q", err, word)
		}
	}
}

// fetchAnswer is an answer that holds the same records for three partitions.
func fetchAnswer(records []byte) []byte {
	part := func(number int32) kmsg.FetchResponseTopicPartition {
		p := kmsg.NewFetchResponseTopicPartition()
		p.Partition, p.HighWatermark, p.LastStableOffset, p.RecordBatches = number, 100, 100, records
		p.AbortedTransactions = []kmsg.FetchResponseTopicPartitionAbortedTransaction{{ProducerID: 1, FirstOffset: 5}}
		return p
	}
	answer := kmsg.FetchResponse{Version: 12, Topics: []kmsg.FetchResponseTopic{
		{Topic: "a", Partitions: []kmsg.FetchResponseTopicPartition{part(0), part(1)}}, {Topic: "b", Partitions: []kmsg.FetchResponseTopicPartition{part(0)}}}}
	return answer.AppendTo(nil)
}

// someBatch has two records at offset 5, with a header.
func someBatch() []byte {
	record := func(delta int32) []byte {
		r := kmsg.Record{OffsetDelta: delta, Key: []byte("k"), Value: []byte("value"), Headers: []kmsg.Header{{Key: "h", Value: []byte("x")}}}
		r.Length = int32(len(r.AppendTo(nil)) - 1)
		return r.AppendTo(nil)
	}
	return batchOf(0, 1, 5, 2, append(record(0), record(1)...))
}

func batchOf(attributes int16, delta int32, first int64, count int32, records []byte) []byte {
	b := kmsg.RecordBatch{FirstOffset: first, Length: int32(49 + len(records)), Magic: 2, Attributes: attributes, LastOffsetDelta: delta,
		FirstTimestamp: 1000, MaxTimestamp: 2000, ProducerID: 1, NumRecords: count, Records: records}
	wire := b.AppendTo(nil)
	binary.BigEndian.PutUint32(wire[17:], crc32.Checksum(wire[21:], crc32.MakeTable(crc32.Castagnoli)))
	return wire
}

// oldMessage is a message of format 0 or 1.
func oldMessage(magic int8) []byte {
	content := []byte{byte(magic), 0}
	if magic == 1 {
		content = binary.BigEndian.AppendUint64(content, 1000)
	}
	content = append(content, 0, 0, 0, 1, 'k', 0, 0, 0, 1, 'v')
	message := binary.BigEndian.AppendUint64(nil, 5)
	message = binary.BigEndian.AppendUint32(message, uint32(4+len(content)))
	message = binary.BigEndian.AppendUint32(message, crc32.ChecksumIEEE(content))
	return append(message, content...)
}

// compressed is what a codec, by its number in attributes, makes of records.
func compressed(tb testing.TB, codec int16, records []byte) []byte {
	tb.Helper()
	c, err := kgo.DefaultCompressor(map[int16]kgo.CompressionCodec{1: kgo.GzipCompression(), 2: kgo.SnappyCompression(), 3: kgo.Lz4Compression(), 4: kgo.ZstdCompression()}[codec])
	if err != nil {
		tb.Fatal(err)
	}
	out, _ := c.Compress(new(bytes.Buffer), records)
	return slices.Clone(out)
}

func TestABatchThatUnpacksToTooMuchIsDamaged(t *testing.T) {
	settle()
	if sarama.MaxDecompressedBatchSize != maxInflated {
		t.Fatalf("the limit is %d", sarama.MaxDecompressedBatchSize)
	}
	sarama.MaxDecompressedBatchSize = 1 << 20
	t.Cleanup(func() { sarama.MaxDecompressedBatchSize = maxInflated })
	for codec, name := range map[int16]string{1: "gzip", 2: "snappy", 3: "lz4", 4: "zstd"} {
		bomb := batchOf(codec, 0, 5, 1, compressed(t, codec, make([]byte, 3<<20)))
		answers := pullFrom(t, fetchAnswer(bomb), false)
		if len(answers) != 3 {
			t.Fatalf("%s: %d answers", name, len(answers))
		}
		for _, a := range answers {
			if _, ok := errors.AsType[*DamagedBatchError](a.Err); !ok || !strings.Contains(a.Err.Error(), "decompressed") {
				t.Errorf("%s: %v", name, a.Err)
			}
		}
	}
}
