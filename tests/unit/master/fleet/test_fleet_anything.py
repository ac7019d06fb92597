"""The fleet against whatever order of events the world can produce."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lbproxy.ipc.messages import Drain, Drained, Failed, HealthChanged, Message, Quit, Ready
from lbproxy.master.fleet.child import Child, Phase, Role
from lbproxy.master.fleet.events import Died, PipeBroken, PipeEnded, ReloadWanted, Said, Scale, Terminate, TimePassed
from lbproxy.master.fleet.fleet import MOST_GENERATIONS
from lbproxy.master.fleet.generation import GenerationStage
from tests.unit.master.fleet.play import ABORTED, BEAT, KILLED, Play, exited


class AnythingHappens(RuleBasedStateMachine):
    """Any order of events that the shell can produce keeps the invariants."""

    def __init__(self) -> None:
        super().__init__()
        self.play = Play(workers=3, drain_timeout=5.0).begin()

    def pick(self, data: st.DataObject) -> Child:
        return data.draw(st.sampled_from(sorted(self.play.fleet.living(), key=lambda child: child.row)))

    @precondition(lambda self: any(self.play.fleet.living()))
    @rule(
        data=st.data(),
        message=st.sampled_from(
            [Ready(1), BEAT, BEAT, Drained(0), Failed("x"), HealthChanged("p", "b", "down", ""), Drain(1), Quit()]
        ),
    )
    def say(self, data: st.DataObject, message: Message) -> None:
        self.play.do(Said(self.pick(data).row, message))

    @precondition(lambda self: any(self.play.fleet.living()))
    @rule(data=st.data(), status=st.sampled_from([exited(0), exited(1), KILLED, ABORTED]))
    def die(self, data: st.DataObject, status: int) -> None:
        self.play.do(Died(self.pick(data).row, status))

    @precondition(lambda self: any(self.play.fleet.living()))
    @rule(data=st.data(), broken=st.booleans())
    def lose_pipe(self, data: st.DataObject, broken: bool) -> None:
        row = self.pick(data).row
        self.play.do(PipeBroken(row, "garbage") if broken else PipeEnded(row))

    @rule(seconds=st.sampled_from([0.1, 1.0, 6.0, 25.0]), beat=st.booleans())
    def pass_time(self, seconds: float, beat: bool) -> None:
        self.play.wait(seconds, beating=None if beat else [])

    @rule(seconds=st.sampled_from([3.0, 1000.0]))
    def stall(self, seconds: float) -> None:
        self.play.now += seconds
        self.play.do(TimePassed())

    @precondition(lambda self: self.play.exit is None)
    @rule(why=st.sampled_from(["", "", "no such file"]))
    def want_a_reload(self, why: str) -> None:
        self.play.refuse = why
        self.play.do(ReloadWanted())

    @rule(delta=st.sampled_from([1, -1]))
    def scale(self, delta: int) -> None:
        if delta < 0 or len(list(self.play.fleet.living())) < 12:
            self.play.do(Scale(delta))

    @precondition(lambda self: self.play.exit is None)
    @rule()
    def terminate(self) -> None:
        self.play.do(Terminate("SIGTERM"))

    @invariant()
    def every_post_of_a_serving_generation_is_filled_or_will_be(self) -> None:
        lonely = not any(child.role is Role.CONTROL for child in self.play.fleet.living())
        for generation in self.play.fleet.generations.values():
            for post in generation.posts:
                waiting = post.fill_at < float("inf")
                assert not (post.child and waiting)
                if generation.stage is GenerationStage.RETIRING:
                    assert not waiting
                elif post.role is Role.WORKER or lonely:  # a control waits until the one before it is gone
                    assert post.child or waiting

    @invariant()
    def children_and_posts_agree(self) -> None:
        living = list(self.play.fleet.living())
        assert len({child.row for child in living}) == len(living)
        held = [child for generation in self.play.fleet.generations.values() for child in generation.children()]
        assert sorted(map(id, held)) == sorted(map(id, living))

    @invariant()
    def one_generation_serves_and_few_live(self) -> None:
        stages = [generation.stage for generation in self.play.fleet.generations.values()]
        assert len(stages) <= MOST_GENERATIONS
        assert stages.count(GenerationStage.SERVING) <= 1
        assert stages.count(GenerationStage.STARTING) <= 1
        if self.play.serving and self.play.fleet.stop is None:
            assert GenerationStage.SERVING in stages

    @invariant()
    def one_control_at_a_time(self) -> None:
        assert sum(child.role is Role.CONTROL for child in self.play.fleet.living()) <= 1

    @invariant()
    def nobody_accepts_before_the_whole_generation_is_ready(self) -> None:
        for generation in self.play.fleet.generations.values():
            if not generation.first and generation.number not in self.play.serving:
                rows = {child.row for child in generation.children()}
                assert not rows & {row for row, number in self.play.told_to_serve if number == generation.number}

    @invariant()
    def every_reload_gets_its_answer(self) -> None:
        answered = {number for number, _ in self.play.rejected} | set(self.play.serving)
        starting = {g.number for g in self.play.fleet.generations.values() if g.stage is GenerationStage.STARTING}
        assert set(self.play.prepared) <= answered | starting

    @invariant()
    def whoever_lives_has_a_deadline_unless_killed(self) -> None:
        for child in self.play.fleet.living():
            assert child.deadline < float("inf") or child.phase is Phase.KILLED

    @invariant()
    def it_ends_when_it_was_told_to_and_all_are_gone(self) -> None:
        stopping = self.play.fleet.stop is not None
        if stopping and not list(self.play.fleet.living()):
            assert self.play.exit is not None
        if self.play.exit is not None:
            assert stopping

    def teardown(self) -> None:
        """From wherever it got to, two signals and the children's deaths end it."""
        self.play.do(Terminate("SIGTERM"), Terminate("SIGTERM"))
        for child in list(self.play.fleet.living()):
            assert child.phase is Phase.KILLED
            self.play.do(Died(child.row, KILLED))
        assert self.play.exit is not None


TestAnythingHappens = AnythingHappens.TestCase
TestAnythingHappens.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
