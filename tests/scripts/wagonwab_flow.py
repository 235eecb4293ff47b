import datetime
from loopline import task, Flow
from loopline.schedules import IntervalSchedule
from loopline.executors import LocalDaskExecutor
from taxifare.interface.main import preprocess, train, evaluate

@task
def eval_perf(next_row):
    past_perf = evaluate(next_row)
    return past_perf

@task
def train_model(next_row):
    preprocess(first_row=next_row)
    new_perf = train(first_row=next_row, stage="Production")
    return new_perf

@task
def notify(past_perf, new_perf):
    print(f"Past perf: {past_perf}, new perf: {new_perf}")

def build_flow(schedule):
    with Flow(name="wagonwab taxifare workflow", schedule=schedule) as flow:
        next_row = 0
        past_perf = eval_perf(next_row)
        new_perf = train_model(next_row)
        notify(past_perf, new_perf)
    return flow

if __name__ == "__main__":
    # schedule = None                    # no schedule
    schedule = IntervalSchedule(interval=datetime.timedelta(minutes=300))
    flow = build_flow(schedule)
    flow.visualize()
    # flow.run()                         # local run
    flow.executor = LocalDaskExecutor()  # parallel executor
    flow.register("wagoncab project")    # backend run
