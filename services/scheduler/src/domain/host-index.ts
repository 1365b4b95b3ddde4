/**
 * Finds hosts with enough of two amounts in about log2(hosts) steps: a binary tree over host slots in which each node knows the largest
 * amounts below it. Typed arrays, because a search is the planner's innermost loop.
 */
export class HostIndex {
  #leaves = 16;
  #cpu = new Float64Array(32).fill(-1);
  #memory = new Float64Array(32).fill(-1);

  /** Notes what a slot has; -1 closes it. */
  set(slot: number, cpuMilli: number, memoryBytes: number): void {
    while (slot >= this.#leaves) this.#grow();
    let node = this.#leaves + slot;
    this.#cpu[node] = cpuMilli;
    this.#memory[node] = memoryBytes;
    for (node >>= 1; node >= 1; node >>= 1) {
      const cpu = Math.max(this.#cpu[node * 2]!, this.#cpu[node * 2 + 1]!);
      const memory = Math.max(this.#memory[node * 2]!, this.#memory[node * 2 + 1]!);
      if (this.#cpu[node] === cpu && this.#memory[node] === memory) return;
      this.#cpu[node] = cpu;
      this.#memory[node] = memory;
    }
  }

  /** The first slot from `from` on with at least these amounts; -1 where there is none. */
  next(from: number, cpuMilli: number, memoryBytes: number): number {
    return from >= this.#leaves ? -1 : this.#search(1, 0, this.#leaves, from, cpuMilli, memoryBytes);
  }

  #search(node: number, low: number, high: number, from: number, cpu: number, memory: number): number {
    if (high <= from || this.#cpu[node]! < cpu || this.#memory[node]! < memory) return -1;
    if (high - low === 1) return low;
    const middle = (low + high) >> 1;
    const left = this.#search(node * 2, low, middle, from, cpu, memory);
    return left >= 0 ? left : this.#search(node * 2 + 1, middle, high, from, cpu, memory);
  }

  #grow(): void {
    const [leaves, cpu, memory] = [this.#leaves, this.#cpu, this.#memory];
    this.#leaves = leaves * 2;
    this.#cpu = new Float64Array(leaves * 4).fill(-1);
    this.#memory = new Float64Array(leaves * 4).fill(-1);
    for (let slot = 0; slot < leaves; slot++) {
      this.#cpu[this.#leaves + slot] = cpu[leaves + slot]!;
      this.#memory[this.#leaves + slot] = memory[leaves + slot]!;
    }
    for (let node = this.#leaves - 1; node >= 1; node--) {
      this.#cpu[node] = Math.max(this.#cpu[node * 2]!, this.#cpu[node * 2 + 1]!);
      this.#memory[node] = Math.max(this.#memory[node * 2]!, this.#memory[node * 2 + 1]!);
    }
  }
}
