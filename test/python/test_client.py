"""A client of the public API made from the .proto files alone: logs in, submits 100 tasks, watches them to the end."""

import os
import pathlib
import sys
import tempfile
import time

import grpc
from grpc_tools import protoc

PROTO = pathlib.Path(__file__).resolve().parents[2] / "proto"
TASKS = 100
WITHIN_SECONDS = 90


def compile_protos(target: str) -> None:
    files = sorted(str(path.relative_to(PROTO)) for path in PROTO.rglob("*.proto"))
    bundled = pathlib.Path(protoc.__file__).parent / "_proto"
    arguments = ["protoc", f"-I{PROTO}", f"-I{bundled}", f"--python_out={target}", f"--grpc_python_out={target}", *files]
    if protoc.main(arguments) != 0:
        sys.exit("the .proto files do not compile")
    sys.path.insert(0, target)


def main() -> None:
    with tempfile.TemporaryDirectory() as generated:
        compile_protos(generated)
        from berth.api.v1 import session_service_pb2 as session, session_service_pb2_grpc as session_grpc
        from berth.api.v1 import task_service_pb2 as api, task_service_pb2_grpc as api_grpc
        from berth.types.v1 import task_pb2 as types

        with grpc.insecure_channel(os.environ["BERTH_SERVER"]) as channel:
            sessions = session_grpc.SessionServiceStub(channel)
            tasks = api_grpc.TaskServiceStub(channel)
            login = session.LoginRequest(user=os.environ["BERTH_USER"], password=os.environ["BERTH_PASSWORD"])
            token = sessions.Login(login, timeout=10).access_token
            me = [("authorization", f"Bearer {token}")]
            assert sessions.WhoAmI(session.WhoAmIRequest(), metadata=me).user.name == os.environ["BERTH_USER"]

            try:
                tasks.GetTask(api.GetTaskRequest(task_id="1"))
                sys.exit("it was let in without a token")
            except grpc.RpcError as refused:
                assert refused.code() == grpc.StatusCode.UNAUTHENTICATED, refused

            # The token first: a watch from it misses nothing of what is submitted now.
            listed = tasks.ListTasks(api.ListTasksRequest(page_size=1), metadata=me)
            resources = types.Resources(cpu_milli=100, memory_bytes=16 * 1024 * 1024)
            wishes = [
                api.SubmitTaskRequest(
                    spec=types.TaskSpec(command=["sh", "-c", f"exit {index % 3}"], name="from-python", resources=resources),
                    request_id=f"python-{time.time_ns()}-{index}",
                )
                for index in range(TASKS)
            ]
            results = tasks.SubmitTasks(api.SubmitTasksRequest(tasks=wishes), metadata=me).results
            assert not any(result.HasField("failure") for result in results), results
            expected = {result.task_id: index % 3 for index, result in enumerate(results)}
            assert len(expected) == TASKS

            codes: dict[str, int] = {}
            watch = tasks.WatchTasks(api.WatchTasksRequest(token=listed.watch_token), metadata=me, timeout=WITHIN_SECONDS)
            for message in watch:
                assert not message.start_again
                for task in message.tasks:
                    if task.id not in expected or task.state != types.TASK_STATE_OVER:
                        continue
                    assert task.id not in codes, f"the end of {task.id} was told twice"
                    codes[task.id] = task.exit_code
                if len(codes) == TASKS:
                    watch.cancel()
                    break
            assert codes == expected, {key: (codes.get(key), code) for key, code in expected.items() if codes.get(key) != code}
    print(f"{TASKS} tasks submitted and watched to their ends")


if __name__ == "__main__":
    main()
