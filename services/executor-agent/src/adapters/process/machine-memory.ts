import { totalmem } from "node:os";

/** Memory of the machine in bytes, or what a container around the agent may use of it. */
export function machineMemory(): number {
  const constrained = process.constrainedMemory();
  return constrained > 0 && constrained < totalmem() ? constrained : totalmem();
}
