public import KaratGraphs
package import KaratKernels
package import KaratTensors

/// Runs a model's graph over token windows.
///
/// Holds the parameters it has pulled, in float32 or packed for integer arithmetic, as long as its
/// budget of memory has room for them. Results have the same bits for any number of threads.
public final class Executor {
  /// What runs.
  public let model: Model
  package let workers: Workers
  /// What may be held in memory at a time, or nil where that does not matter.
  public let memory: MemoryBudget?

  let parameters: ParameterReader
  private let constants: ConstantStore
  private let isConstant: [Bool]
  private let rotations = RotationCache()
  private let pool: BufferPool
  private var plans: [Plan.Request: Plan] = [:]

  package init(_ model: Model, on workers: Workers, memory: MemoryBudget? = nil) {
    self.model = model
    self.workers = workers
    self.memory = memory
    parameters = ParameterReader(
      source: model.source,
      workers: workers,
      piece: memory?.piece ?? 4 << 20
    )
    constants = ConstantStore(model, parameters, workers)
    pool = BufferPool(limit: memory?.values)
    isConstant = model.graph.constants
  }

  /// Prepares to run a model.
  ///
  /// - Parameters:
  ///   - model: what runs.
  ///   - threads: how many threads it runs on, or nil for one on each core.
  ///   - memory: what it may hold at a time: parameters used longest ago leave for others, and those of
  ///     large layers are read slice by slice. Nil for as much as the model takes.
  public convenience init(_ model: Model, threads: Int? = nil, memory: MemoryBudget? = nil) {
    self.init(
      model,
      on: threads.map { Workers(threads: max($0, 1)) } ?? .automatic,
      memory: memory
    )
  }

  /// Lets go of all parameters; they are pulled again when they are needed.
  package func dropConstants() {
    constants.drop()
    if memory != nil { pool.trim() }
  }

  /// How a run from some values to others goes.
  func plan(given: some Sequence<ValueID>, wanted: [ValueID]) -> Plan {
    let request = Plan.Request(given: Set(given), wanted: wanted)
    let plan = plans[request] ?? Plan(model.graph, constants: isConstant, request: request)
    plans[request] = plan
    return plan
  }

  /// Runs what is needed of the graph to show some of its values.
  ///
  /// - Parameters:
  ///   - given: the values that the run begins from: the graph's inputs, or those of a stage.
  ///   - binding: how many sequences and tokens the given values hold.
  ///   - cache: keys and values of earlier tokens, to which this run adds its own.
  ///   - wanted: the values to show.
  ///   - show: is called with each of them, in order, as soon as it is computed; the memory is
  ///     valid during the call.
  /// - Throws: `CheckpointError` where a parameter cannot be pulled, `EngineError` where the values
  ///   cannot be had with a cache, or what `show` throws.
  package func run(
    given: [ValueID: Tensor],
    binding: Binding,
    cache: KeyValueCache? = nil,
    wanted: [ValueID],
    _ show: (ValueID, Operand) throws -> Void
  ) throws {
    let plan = plan(given: given.keys, wanted: wanted)
    let givenBytes = given.values.reduce(cache?.byteCount ?? 0) { $0 + $1.byteCount }
    if plan.looksAhead, cache != nil {
      throw EngineError(
        "predictions of later tokens read the tokens in between, which a run with a cache does not "
          + "hold. Run whole sequences."
      )
    }

    var live: [ValueID: Operand] = given.mapValues(Operand.init)
    let wanted = Set(wanted)
    for (value, operand) in live.sorted(by: { $0.key < $1.key }) where wanted.contains(value) {
      try show(value, operand)
    }
    defer {
      for (value, operand) in live where given[value] == nil { release(operand) }
    }
    for (step, place) in plan.places.enumerated() {
      let node = model.graph.nodes[place]
      let binding = self.binding(of: node, binding, live)
      let outputs = node.types.map { type in
        let shape = type.shape(binding)
        let bytes = type.dtype.byteCount(elementCount: shape.elementCount) ?? 0
        return Operand(dtype: type.dtype, shape: shape, address: pool.take(bytes))
      }
      for (output, operand) in outputs.enumerated() {
        live[ValueID(node: place, output: output)] = operand
      }
      // An expert that no token reaches computes nothing, and its parameters are not pulled.
      if outputs.contains(where: { $0.count > 0 }) {
        try makeRoom(for: node, beside: givenBytes)
        try evaluate(place, node, outputs, binding, cache, live)
      }
      for (output, operand) in outputs.enumerated() {
        let value = ValueID(node: place, output: output)
        if wanted.contains(value) { try show(value, operand) }
      }
      for value in plan.released[step] {
        if let operand = live.removeValue(forKey: value) { release(operand) }
      }
    }
  }

  /// The binding of a run with the number of rows that reach a node's expert, where it has one.
  private func binding(
    of node: Node,
    _ binding: Binding,
    _ live: [ValueID: Operand]
  ) -> Binding {
    guard node.types.contains(where: \.isRouted) else { return binding }
    var result = binding
    if let input = node.inputs.first(where: { model.graph.type(of: $0).isRouted }) {
      result.routed = live[input]?.rows ?? 0
    } else {
      result.routed = node.op.operation.routedRows(node.inputs.compactMap { live[$0] }) ?? 0
    }
    return result
  }

  /// Leaves the parameters of a node what the values leave.
  private func makeRoom(for node: Node, beside givenBytes: Int) throws(EngineError) {
    guard let memory else { return }
    let values = pool.bytesInUse + givenBytes
    if isSliced(node) {
      constants.limit = max(memory.bytes - memory.reserve - memory.slice - values, 0)
      return
    }
    constants.limit = max(memory.bytes - memory.reserve - pool.byteCount - givenBytes, 0)
    let own = node.inputs.reduce(0) { bytes, input in
      bytes + (isConstant[input.node] ? model.graph.byteCount(of: input) : 0)
    }
    try memory.require(own + values, for: "\(node.path.quoted), \(node.op.operation.name),")
  }

  private func evaluate(
    _ place: Int,
    _ node: Node,
    _ outputs: [Operand],
    _ binding: Binding,
    _ cache: KeyValueCache?,
    _ live: [ValueID: Operand]
  ) throws {
    let isSliced = isSliced(node)
    let packedInput = node.op.operation.packedInput
    let packed = try packedInput.map { try constants.packedWeight(place, node.inputs[$0]) }
    var inputs: [Operand] = []
    // What the store lets go for the next input is kept until the node is done.
    var held: [Tensor] = []
    for (index, value) in node.inputs.enumerated() {
      if let operand = live[value] {
        inputs.append(operand)
      } else if index == packedInput || (isSliced && index == 1) {
        // Only its extents are read; the codes are in `packed`, or come slice by slice.
        let type = model.graph.type(of: value)
        inputs.append(
          Operand(dtype: type.dtype, shape: type.shape(binding), address: outputs[0].address)
        )
      } else {
        let tensor = try constants.tensor(value, rotations)
        held.append(tensor)
        inputs.append(Operand(tensor))
      }
    }
    if isSliced {
      try evaluateSliced(node, inputs, outputs[0])
      withExtendedLifetime(held) {}
      return
    }
    node.op.operation.evaluate(
      Evaluation(
        place: place,
        inputs: inputs,
        outputs: outputs,
        packed: packed,
        binding: binding,
        workers: workers,
        rotations: rotations,
        cache: cache
      )
    )
    withExtendedLifetime(held) {}
  }

  private func release(_ operand: Operand) {
    pool.give(operand.address, operand.dtype.byteCount(elementCount: operand.count) ?? 0)
  }
}
