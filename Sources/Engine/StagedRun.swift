package import KaratGraphs
package import KaratTensors

/// Runs a model over many windows block by block, holding the parameters of one block at a time.
///
/// Between blocks only the values that cross are kept: for a decoder the hidden state,
/// `tokens · hidden · 4` bytes, in a file where they exceed their share of the executor's memory.
/// Within a block as many windows of one length run together as the budget has room for, so that
/// parameters are read once for all of them. No result depends on how many that are.
package struct StagedRun {
  private let executor: Executor
  private let windows: [[Int32]]
  private let states: StateStore
  private let stages: [Stage]
  /// How many of the stages have run.
  private var done = 0

  /// Prepares to run windows through a model.
  ///
  /// - Throws: `EngineError` where a token is not in the vocabulary.
  package init(_ executor: Executor, windows: [[Int32]]) throws {
    self.executor = executor
    self.windows = windows
    stages = executor.model.graph.stages
    states = StateStore(limit: executor.memory?.states)
    for (index, window) in windows.enumerated() {
      for (value, tensor) in try executor.given(TokenBatch([window])).sorted(by: { $0.key < $1.key }
      ) {
        try states.set(tensor, for: StateStore.Key(window: index, value: value))
      }
    }
  }

  /// Runs one stage over every window, in order, and keeps what later stages need.
  ///
  /// - Parameters:
  ///   - stage: the next of the graph's stages.
  ///   - wanted: values of the stage to show.
  ///   - show: is called with the window's index, and each of these that has elements: what an expert
  ///     reads has none where no token reaches it. The rows that reach an expert
  ///     are shown together for the windows that ran together, with the index of the first.
  /// - Throws: what `Executor.run` throws, and `FileError` where states cannot be kept in a file.
  package mutating func run(
    _ stage: Stage,
    wanted: [ValueID] = [],
    _ show: (Int, ValueID, Operand) throws -> Void = { _, _, _ in }
  ) throws {
    let crossing = Set(stage.outputs)
    let all = crossing.union(wanted).sorted()
    var first = 0
    while first < windows.count {
      let batch = batch(from: first, stage, all)
      try run(stage, batch, all) { value, operand in
        let parts = parts(of: operand, value, batch)
        if wanted.contains(value), operand.count > 0 {
          for (window, part) in parts { try show(window, value, part) }
        }
        if crossing.contains(value) {
          for (window, part) in parts {
            try states.set(part.copied(), for: StateStore.Key(window: window, value: value))
          }
        }
      }
      for value in stage.released {
        for window in batch { states.remove(StateStore.Key(window: window, value: value)) }
      }
      first = batch.upperBound
    }
    executor.dropConstants()
    done += 1
  }

  /// A value of a window that crosses from the stages that ran to those that follow.
  ///
  /// - Throws: `FileError` where it is in a file, and cannot be read.
  package func state(_ value: ValueID, window: Int) throws -> Tensor {
    try states.tensor(StateStore.Key(window: window, value: value))
  }

  /// Runs all stages before the one that computes a value.
  ///
  /// - Parameters:
  ///   - value: where to stop.
  ///   - wanted: values of these stages to show.
  ///   - progress: is called before each stage with the number of stages that have run.
  ///   - show: as for `run(_:wanted:_:)`.
  /// - Throws: as `run(_:wanted:_:)` does.
  package mutating func advance(
    to value: ValueID,
    wanted: Set<ValueID> = [],
    progress: (Int) -> Void = { _ in },
    _ show: (Int, ValueID, Operand) throws -> Void = { _, _, _ in }
  ) throws {
    while done < stages.count, !stages[done].places.contains(value.node) {
      progress(done)
      let places = Set(stages[done].places)
      let own = wanted.filter { places.contains($0.node) }.sorted()
      try run(stages[done], wanted: own, show)
    }
  }

  /// How many stages run before the one that computes a value.
  package func stageCount(before value: ValueID) -> Int {
    stages.firstIndex { $0.places.contains(value.node) } ?? stages.count
  }

  /// How many tokens of a window's value fit in memory at a time, or nil where a window cannot be
  /// cut, since its tokens depend on each other.
  ///
  /// - Precondition: the run has advanced to the value.
  package func tokensAtATime(of value: ValueID) -> Int? {
    let plan = executor.plan(given: stages[done].inputs, wanted: [value])
    let graph = executor.model.graph
    guard plan.places.allSatisfy({ graph.nodes[$0].op.operation.isTokenwise }) else { return nil }
    guard let memory = executor.memory else { return .max }
    let perToken = plan.peakBytes(graph, Binding(batch: 1, length: 1))
    return max(memory.values / max(perToken, 1), 1)
  }

  /// Shows a value for some tokens of a window.
  ///
  /// - Precondition: the run has advanced to the value; the tokens are all of the window's where
  ///   `tokensAtATime` is nil.
  /// - Throws: as `run(_:wanted:_:)` does.
  package func show(
    _ value: ValueID,
    window: Int,
    tokens: Range<Int>,
    _ body: (Operand) throws -> Void
  ) throws {
    var given: [ValueID: Tensor] = [:]
    for input in stages[done].inputs {
      given[input] = try states.tensor(
        StateStore.Key(window: window, value: input),
        tokens: tokens
      )
    }
    try executor.run(
      given: given,
      binding: Binding(batch: 1, length: tokens.count),
      wanted: [value]
    ) { _, operand in try body(operand) }
  }

  /// The windows of one length, from a given one on, that the budget has room for together.
  private func batch(from first: Int, _ stage: Stage, _ wanted: [ValueID]) -> Range<Int> {
    guard let memory = executor.memory else { return first..<first + 1 }
    let length = windows[first].count
    let alike = windows[first...].prefix { $0.count == length }.count
    let plan = executor.plan(given: stage.inputs, wanted: wanted)
    let graph = executor.model.graph
    let one = plan.peakBytes(graph, Binding(batch: 1, length: length))
    return first..<first + min(alike, max(memory.values / max(one, 1), 1))
  }

  private func run(
    _ stage: Stage,
    _ batch: Range<Int>,
    _ wanted: [ValueID],
    _ show: (ValueID, Operand) throws -> Void
  ) throws {
    let binding = Binding(batch: batch.count, length: windows[batch.lowerBound].count)
    var given: [ValueID: Tensor] = [:]
    for input in stage.inputs {
      let parts = try batch.map { try states.tensor(StateStore.Key(window: $0, value: input)) }
      given[input] = parts.count == 1 ? parts[0] : Tensor(joining: parts)
    }
    try executor.run(given: given, binding: binding, wanted: wanted, show)
  }

  /// A value of several windows, window by window.
  private func parts(
    of operand: Operand,
    _ value: ValueID,
    _ batch: Range<Int>
  ) -> [(window: Int, Operand)] {
    guard batch.count > 1, executor.model.graph.type(of: value).extents.first == .batch else {
      return [(batch.lowerBound, operand)]
    }
    let shape = Shape([1] + operand.shape.dimensions.dropFirst())
    let stride = operand.dtype.byteCount(elementCount: shape.elementCount) ?? 0
    return batch.enumerated().map { index, window in
      let address = operand.address + index * stride
      return (window, Operand(dtype: operand.dtype, shape: shape, address: address))
    }
  }
}

extension Tensor {
  /// Tensors of one type and shape one after the other, along the outermost extent.
  fileprivate init(joining parts: [Tensor]) {
    let shape = parts[0].shape
    self.init(parts[0].dtype, Shape([parts.count * shape[0]] + shape.dimensions.dropFirst())) {
      bytes in
      for (index, part) in parts.enumerated() {
        let place = index * part.byteCount..<(index + 1) * part.byteCount
        part.withBytes {
          UnsafeMutableRawBufferPointer(rebasing: bytes[place]).copyMemory(from: $0)
        }
      }
    }
  }
}
