from benchmarks.code import measure_programs, mini_programs
from tests.sandbox.isolations import sandbox


def test_every_fifth_program_is_wrong():
    sandbox()
    measured = measure_programs(10)
    assert measured.outcomes == {"passed": 8, "failed": 2}
    assert measured.seconds > 0


def test_the_programs_differ():
    assert len({program.source for program in mini_programs(50)}) == 50
