package kafka

import (
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestWhatBefallsManyPartitionsIsOneLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lines := &logLines{}
		n := NewNotices(slog.New(lines), "host:1")
		down := NoticeText{One: "down", Many: "all down", Names: 4}
		up := NoticeText{One: "up", Many: "all up"}
		for i := range 2000 {
			tp := TopicPartition{fmt.Sprintf("t%03d", i/4), int32(i % 4)}
			n.Say(slog.LevelWarn, down, tp, "no leader")
			n.Say(slog.LevelWarn, down, tp, "no leader") // counts once
			n.Say(slog.LevelInfo, up, tp, "")
		}
		n.Say(slog.LevelWarn, down, TopicPartition{"other", 1}, "no rights")
		if got := lines.all(); len(got) != 0 {
			t.Errorf("said before it could be gathered: %q", got)
		}

		time.Sleep(noticeDelay)
		synctest.Wait()
		n.Say(slog.LevelWarn, down, TopicPartition{"later", 0}, "no leader")
		n.Close()
		n.Say(slog.LevelWarn, down, TopicPartition{"too late", 0}, "no leader")

		want := []string{
			"WARN all down partitions=2000 names=t000-0, t000-1, t000-2, t000-3, and 1996 more cluster=host:1 reason=no leader",
			"INFO all up partitions=2000 first=t000-0 cluster=host:1",
			"WARN down topic=other partition=1 cluster=host:1 reason=no rights",
			"WARN down topic=later partition=0 cluster=host:1 reason=no leader",
		}
		if diff := cmp.Diff(want, lines.all()); diff != "" {
			t.Error(diff)
		}
	})
}
