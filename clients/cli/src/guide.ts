import { watchOutput } from "./output/stdout.ts";

const guide = `Berth runs commands on shared machines, fairly, and can always say why a task waits.

  berth run -- echo hello                              run a command, see its output; exit code is the task's
  berth submit --cpu 2 --mem 4G --time 1h job.sh       queue a script and come back later
  berth submit --array 1-20%5 -- sh -c 'echo $BERTH_ARRAY_INDEX'
  berth ls                                             my tasks that wait or run (--all: ended ones too)
  berth why 17                                         why task 17 waits, and its place in the queue

  No cluster yet?   berth up             starts one on this machine
  One elsewhere?    berth login SERVER   keeps a key for it on this machine

  berth --help lists all commands; berth run --help explains one.
`;

/** What `berth` alone says. */
export function printGuide(): void {
  watchOutput();
  process.stdout.write(guide);
}
