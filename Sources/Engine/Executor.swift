public import KaratGraphs
package import KaratKernels
package import KaratTensors

/// Runs a model's graph over token windows.
///
/// Holds the parameters it has pulled, in float32 or packed for integer arithmetic, until
/// `dropConstants`. Results have the same bits for any number of threads.
public final class Executor {
  /// What runs.
  public let model: Model
  package let workers: Workers

  private let constants: ConstantStore
  private let isConstant: [Bool]
  private let rotations = RotationCache()
  private let pool = BufferPool()
  private var plans: [Plan.Request: Plan] = [:]

  package init(_ model: Model, on workers: Workers) {
    self.model = model
    self.workers = workers
    constants = ConstantStore(model, workers)
    isConstant = model.graph.constants
  }

  /// Prepares to run a model.
  ///
  /// - Parameters:
  ///   - model: what runs.
  ///   - threads: how many threads it runs on, or nil for one on each core.
  public convenience init(_ model: Model, threads: Int? = nil) {
    self.init(model, on: threads.map { Workers(threads: max($0, 1)) } ?? .automatic)
  }

  /// Lets go of all parameters; they are pulled again when they are needed.
  package func dropConstants() {
    constants.drop()
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
    let request = Plan.Request(given: Set(given.keys), wanted: wanted)
    let plan = plans[request] ?? Plan(model.graph, constants: isConstant, request: request)
    plans[request] = plan
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

  private func evaluate(
    _ place: Int,
    _ node: Node,
    _ outputs: [Operand],
    _ binding: Binding,
    _ cache: KeyValueCache?,
    _ live: [ValueID: Operand]
  ) throws {
    let packedInput = node.op.operation.packedInput
    let packed = try packedInput.map { try constants.packedWeight(place, node.inputs[$0]) }
    var inputs: [Operand] = []
    for (index, value) in node.inputs.enumerated() {
      if let operand = live[value] {
        inputs.append(operand)
      } else if index == packedInput {
        // Only its extents are read; the codes are in `packed`.
        let type = model.graph.type(of: value)
        inputs.append(
          Operand(dtype: type.dtype, shape: type.shape(binding), address: outputs[0].address)
        )
      } else {
        inputs.append(Operand(try constants.tensor(value, rotations)))
      }
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
  }

  private func release(_ operand: Operand) {
    pool.give(operand.address, operand.dtype.byteCount(elementCount: operand.count) ?? 0)
  }
}
