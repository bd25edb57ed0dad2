package import KaratGraphs
package import KaratKernels
package import KaratTensors

/// Runs a graph forward and backward: reverse-mode differentiation over its operations.
///
/// Values that gradients read are kept from the forward run, or, with checkpointing, computed again
/// block by block (Chen et al., 2016): then memory holds what crosses from block to block and the
/// values of one block, and a step takes about a third longer.
package final class Differentiator {
  package let graph: Graph
  package let parameters: ParameterSet
  package let workers: Workers
  /// Whether each block's values are dropped after the forward run and computed again.
  package var isCheckpointing = false

  /// In which numbers matrices are multiplied, or nil for float32.
  package var rounding: Rounding?
  /// Is called in each forward run with values that are to be seen, as soon as they are computed.
  package var observe: (ValueID, Operand) -> Void = { _, _ in }
  /// The values that are to be seen.
  package var observed: Set<ValueID> = []

  /// How many operations the products with weights took so far, forward and backward; a multiplication
  /// and an addition are two.
  package private(set) var operations = 0.0

  private let plan: TrainingPlan
  private let losses: [any Loss]
  private let pool = BufferPool()
  private let rotations = RotationCache()
  /// The values that are in memory, those that the run was given included.
  private var live: [ValueID: Operand] = [:]
  private var given: Set<ValueID> = []
  private var gradients: [ValueID: Operand] = [:]
  /// The extents of every value of the run, also of those that are dropped.
  private var shapes: [ValueID: Shape] = [:]

  /// Prepares to train a graph.
  ///
  /// - Parameters:
  ///   - graph: what is trained.
  ///   - parameters: its parameters.
  ///   - given: the values that runs begin from.
  ///   - losses: what is made small: their sum.
  ///   - workers: the threads.
  package init(
    _ graph: Graph,
    _ parameters: ParameterSet,
    given: Set<ValueID>,
    losses: [any Loss],
    on workers: Workers
  ) {
    self.graph = graph
    self.parameters = parameters
    self.losses = losses
    self.workers = workers
    plan = TrainingPlan(
      graph,
      given: given,
      judged: Set(losses.flatMap(\.values)),
      isTrained: { parameters[$0].gradient != nil }
    )
  }

  /// Adds the gradients of the losses to those of the parameters.
  ///
  /// - Parameters:
  ///   - given: the values that the run begins from.
  ///   - binding: how many sequences and tokens they hold.
  ///   - factor: what gradients are multiplied by.
  /// - Returns: the losses, in their order.
  /// - Throws: what the losses throw.
  package func run(
    given: [ValueID: Tensor],
    binding: Binding,
    factor: Float = 1
  ) throws -> [Double] {
    self.given = Set(given.keys)
    live = given.mapValues(Operand.init)
    defer { releaseAll() }
    let last = plan.segments.count - 1
    for (index, segment) in plan.segments.enumerated() {
      forward(segment, binding, keeping: !isCheckpointing || index == last, isFirst: true)
    }
    var found = Array(repeating: 0.0, count: losses.count)
    for (index, segment) in plan.segments.enumerated().reversed() {
      if isCheckpointing, index < last {
        forward(segment, binding, keeping: true, isFirst: false)
      }
      try judge(segment, factor, &found)
      backward(segment, binding)
      for place in segment.places {
        for output in graph.nodes[place].types.indices {
          release(ValueID(node: place, output: output))
        }
      }
    }
    withExtendedLifetime(given) {}
    return found
  }

  /// Whether a loss depends on a parameter.
  func reaches(_ name: TensorName) -> Bool {
    plan.parameters.contains(name) || losses.contains { $0.parameters.contains(name) }
  }

  /// How many bytes the values take that gradients read, where none is computed again.
  ///
  /// - Parameter binding: how many sequences and tokens run together.
  /// - Returns: their sum over all blocks.
  package func keptBytes(_ binding: Binding) -> Int {
    let kept = plan.segments.reduce(into: Set<ValueID>()) {
      $0.formUnion($1.kept)
      $0.formUnion($1.crossing)
    }
    return kept.reduce(0) { sum, value in
      guard graph.parameter(value) == nil else { return sum }
      let type = graph.type(of: value)
      let count = type.shape(binding).elementCount
      return sum + (type.dtype.byteCount(elementCount: count) ?? 0)
    }
  }

  // MARK: Forward

  private func forward(
    _ segment: TrainingPlan.Segment,
    _ binding: Binding,
    keeping: Bool,
    isFirst: Bool
  ) {
    for (step, place) in segment.places.enumerated() {
      let node = graph.nodes[place]
      let binding = self.binding(of: node, binding)
      let outputs = node.types.enumerated().map { output, type in
        let value = ValueID(node: place, output: output)
        if let operand = live[value] { return operand }
        let operand = take(type.dtype, type.shape(binding))
        live[value] = operand
        shapes[value] = operand.shape
        return operand
      }
      // An expert that no token reaches computes nothing.
      if outputs.contains(where: { $0.count > 0 }) { evaluate(place, node, outputs, binding) }
      for (output, operand) in outputs.enumerated() {
        let value = ValueID(node: place, output: output)
        if isFirst, observed.contains(value), operand.count > 0 { observe(value, operand) }
      }
      for value in segment.released[step] where !(keeping && segment.kept.contains(value)) {
        release(value)
      }
    }
  }

  private func evaluate(_ place: Int, _ node: Node, _ outputs: [Operand], _ binding: Binding) {
    let inputs = node.inputs.map(operand)
    let packed = node.op.operation.packedInput.map { index in
      PackedInt8Weight(
        codes: inputs[index].signedCodes,
        outFeatures: inputs[index].rows,
        inFeatures: inputs[index].features,
        on: workers
      )
    }
    var run = Evaluation(
      place: place,
      inputs: inputs,
      outputs: outputs,
      packed: packed,
      binding: binding,
      workers: workers,
      rotations: rotations,
      cache: nil
    )
    run.rounding = rounding
    node.op.operation.evaluate(run)
    operations += node.op.productOperations(inputs)
  }

  /// The binding of a run with the number of rows that reach a node's expert, where it has one.
  private func binding(of node: Node, _ binding: Binding) -> Binding {
    guard node.types.contains(where: \.isRouted) else { return binding }
    var result = binding
    if let input = node.inputs.first(where: { graph.type(of: $0).isRouted }) {
      result.routed = shapes[input]?[0] ?? 0
    } else {
      result.routed = node.op.operation.routedRows(node.inputs.map(operand)) ?? 0
    }
    return result
  }

  // MARK: Backward

  private func judge(
    _ segment: TrainingPlan.Segment,
    _ factor: Float,
    _ found: inout [Double]
  ) throws {
    let places = Set(segment.places)
    for (index, loss) in losses.enumerated() where places.contains(loss.values[0].node) {
      let value = loss.values[0]
      found[index] = try loss.evaluate(
        LossEvaluation(
          values: loss.values.map(operand),
          gradient: plan.carries(value) ? gradient(of: value) : nil,
          factor: factor,
          parameters: parameters,
          workers: workers
        )
      )
      operations += loss.operations(loss.values.map(operand))
    }
  }

  private func backward(_ segment: TrainingPlan.Segment, _ binding: Binding) {
    for place in segment.places.reversed() {
      let outputs = graph.nodes[place].types.indices.map { ValueID(node: place, output: $0) }
      guard plan.carries(outputs[0]), let upstream = gradients[outputs[0]] else { continue }
      if upstream.count > 0 { differentiate(place, outputs, binding) }
      for output in outputs {
        if let operand = gradients.removeValue(forKey: output) { give(operand) }
      }
    }
  }

  private func differentiate(_ place: Int, _ outputs: [ValueID], _ binding: Binding) {
    let node = graph.nodes[place]
    var run = Differentiation(
      inputs: node.inputs.map(operand),
      outputs: outputs.map(operand),
      upstream: outputs.map { gradients[$0] },
      targets: node.inputs.map { plan.carries($0) ? gradient(of: $0) : nil },
      binding: binding,
      workers: workers,
      rotations: rotations
    )
    run.rounding = rounding
    node.op.operation.differentiate(run)
    let products = run.targets.prefix(2).count { $0 != nil }
    operations += Double(products) * node.op.productOperations(run.inputs)
  }

  /// Where the gradient of a value is added up, zero at first.
  private func gradient(of value: ValueID) -> Operand? {
    if let parameter = graph.parameter(value) { return parameters[parameter.tensor].target }
    if let operand = gradients[value] { return operand }
    let operand = take(.f32, shapes[value] ?? [])
    operand.mutableFloats.update(repeating: 0, count: operand.count)
    gradients[value] = operand
    return operand
  }

  // MARK: Memory

  /// A value as operations read it; of one that was dropped only the extents.
  private func operand(_ value: ValueID) -> Operand {
    if let operand = live[value] { return operand }
    if let parameter = graph.parameter(value) { return parameters[parameter.tensor].operand }
    return Operand(
      dtype: graph.type(of: value).dtype,
      shape: shapes[value] ?? [],
      address: Self.nothing
    )
  }

  /// Where values that are not there would be.
  private nonisolated(unsafe) static let nothing = UnsafeMutableRawPointer.allocate(
    byteCount: 64,
    alignment: 64
  )

  private func take(_ dtype: DType, _ shape: Shape) -> Operand {
    let bytes = dtype.byteCount(elementCount: shape.elementCount) ?? 0
    return Operand(dtype: dtype, shape: shape, address: pool.take(bytes))
  }

  private func give(_ operand: Operand) {
    pool.give(operand.address, operand.dtype.byteCount(elementCount: operand.count) ?? 0)
  }

  private func release(_ value: ValueID) {
    guard !given.contains(value), let operand = live.removeValue(forKey: value) else { return }
    give(operand)
  }

  private func releaseAll() {
    for value in live.keys { release(value) }
    for operand in gradients.values { give(operand) }
    live = [:]
    gradients = [:]
    shapes = [:]
  }
}

extension Op {
  /// The operations of one product of rows with a weight, where this is one.
  fileprivate func productOperations(_ inputs: [Operand]) -> Double {
    switch self {
    case .linear, .integerLinear: 2 * Double(inputs[0].rows) * Double(inputs[1].count)
    default: 0
    }
  }
}
