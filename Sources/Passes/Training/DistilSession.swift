import KaratDatasets
import KaratEngine
import KaratGraphs
import KaratKernels
import KaratTensors

/// One distillation: a teacher, a student, and what the student is judged by.
struct DistilSession {
  private let pass: Distil
  private let teacher: Model
  private let student: Model
  /// For each layer of the student, the teacher's that it came from.
  private let layers: [Int]
  private let context: PassContext

  init(
    _ pass: Distil,
    teacher: Model,
    student: Model,
    _ layers: [Int],
    _ context: PassContext
  ) {
    self.pass = pass
    self.teacher = teacher
    self.student = student
    self.layers = layers
    self.context = context
  }

  /// Trains a decoder on windows of the text.
  ///
  /// - Returns: the parameters that learned.
  func trainDecoder(on workers: Workers) throws -> [TensorName: DerivedTensor] {
    let pairs = try comparedValues()
    let windows = try context.trainingWindows(
      length: pass.training.length,
      written: pass.written,
      by: teacher
    )
    // A student of the text alone needs no teacher that runs beside it.
    let teaching =
      pass.teacher > 0 || !pairs.isEmpty
      ? try context.teaching(
        teacher,
        of: student.graph,
        Distil.name,
        windows: windows,
        top: pass.top,
        showing: pairs.map(\.teacher)
      ) : nil
    let (graph, source, losses) = try judged(pairs, teaching?.states, isPerSequence: false)
    let parameters = try ParameterSet(graph, source, on: workers, isTrained: learns)
    let task = try DecoderTask(
      graph,
      parameters,
      windows: windows,
      head: pass.teacher > 0 || pass.text > 0
        ? try HeadLoss(
          graph,
          labelWeight: pass.text,
          teacherWeight: pass.teacher,
          divergence: pass.divergence.divergence,
          temperature: pass.temperature
        ) : nil,
      teacher: teaching?.target,
      others: losses + routerLosses(graph),
      on: workers
    )
    let balancer = BiasBalancer(graph, parameters, rate: pass.biasRate)
    if pass.biasRate > 0 {
      task.observe(balancer.observed) { balancer.observe($0, $1) }
      task.hooks.finish = { balancer.step() }
      task.hooks.remembered = balancer.biases
    }
    if pass.onPolicy > 0 {
      let writer = StudentWriter(
        student,
        parameters.trained + task.hooks.remembered,
        share: pass.onPolicy,
        seed: context.seed,
        threads: context.threads
      )
      task.hooks.begin = { step, examples in
        task.written = try writer.written(step, examples.map { ($0, windows[$0]) })
      }
    }
    try train(task, on: workers)
    return learned(parameters, task.hooks.remembered)
  }

  private func routerLosses(_ graph: Graph) -> [any Loss] {
    var losses: [any Loss] = []
    for router in graph.routerValues {
      if pass.balance > 0 { losses.append(BalanceLoss(router, weight: pass.balance)) }
      if pass.routerEntropy != 0 {
        losses.append(EntropyLoss(router, weight: pass.routerEntropy))
      }
    }
    return losses
  }

  /// Trains an encoder on texts.
  ///
  /// - Returns: the parameters that learned.
  func trainEncoder(on workers: Workers) throws -> [TensorName: DerivedTensor] {
    guard !context.calibrationSequences.isEmpty else {
      throw DatasetError("\(context.calibrationName): there is no text to learn from.")
    }
    var pairs = try comparedValues()
    if pass.teacher > 0 {
      pairs.append(
        Compared(
          name: "vectors",
          kind: .vectors,
          student: try named("sentence_embedding", in: student),
          teacher: try named("sentence_embedding", in: teacher)
        )
      )
    }
    let states = TeacherStates(executor, pairs.map(\.teacher))
    let (graph, source, losses) = try judged(pairs, states, isPerSequence: true)
    let parameters = try ParameterSet(graph, source, on: workers, isTrained: learns)
    let task = try EncoderTask(
      graph,
      parameters,
      texts: context.calibrationSequences,
      losses: losses,
      on: workers
    ) { try states.run($0) }
    try train(task, on: workers)
    return learned(parameters)
  }

  private func train(_ task: any TrainingTask, on workers: Workers) throws {
    let use = try Trainer.run(
      task,
      pass.training,
      named: Distil.name,
      pass.json,
      in: context,
      keptIn: context.archive,
      on: workers
    )
    context.report(use, of: Distil.name, on: workers)
  }

  private var executor: Executor {
    Executor(teacher, threads: context.threads, memory: context.memory)
  }

  /// Biases that balance experts have a rule of their own, and no gradient.
  private func learns(_ name: TensorName) -> Bool {
    !name.text.hasSuffix("e_score_correction_bias")
  }

  private func learned(
    _ parameters: ParameterSet,
    _ others: [ParameterSet.Item] = []
  ) -> [TensorName: DerivedTensor] {
    var tensors: [TensorName: DerivedTensor] = [:]
    for item in parameters.trained + others where student.source.manifest[item.name] != nil {
      tensors[item.name] = DerivedTensor(item.tensor)
    }
    return tensors
  }

  // MARK: What is compared

  private struct Compared {
    enum Kind { case states, relations, vectors }
    let name: String
    let kind: Kind
    let student, teacher: ValueID
  }

  private func named(_ name: String, in model: Model) throws -> ValueID {
    guard let value = model.graph.named[name] else {
      throw PassError(Distil.name, "a model gives no \(name), which is to be compared.")
    }
    return value
  }

  /// The student's states and relations, and what they are compared with.
  private func comparedValues() throws -> [Compared] {
    var pairs: [Compared] = []
    if pass.states > 0 {
      for (layer, origin) in layers.enumerated() {
        // A student's layer stands for all of the teacher's up to the next one that was kept.
        let end = layer + 1 < layers.count ? layers[layer + 1] - 1 : lastLayer
        pairs.append(
          Compared(
            name: "states_\(layer)",
            kind: .states,
            student: try named(Graph.stateName(behindLayer: layer), in: student),
            teacher: try named(Graph.stateName(behindLayer: max(end, origin)), in: teacher)
          )
        )
      }
    }
    if pass.relations > 0 {
      guard let own = student.graph.lastAttention, let other = teacher.graph.lastAttention else {
        throw PassError(Distil.name, "relations are those of an attention with queries and keys.")
      }
      for (index, name) in ["queries", "keys", "values"].enumerated() {
        pairs.append(
          Compared(
            name: name,
            kind: .relations,
            student: own.inputs[index],
            teacher: other.inputs[index]
          )
        )
      }
    }
    return pairs
  }

  private var lastLayer: Int { teacher.graph.layerCount - 1 }

  /// The graph and source with projections where widths differ, and the losses on its values.
  private func judged(
    _ pairs: [Compared],
    _ states: TeacherStates?,
    isPerSequence: Bool
  ) throws -> (Graph, any TensorSource, [any Loss]) {
    var builder = GraphBuilder(extending: student.graph)
    var projections: [TensorName: DerivedTensor] = [:]
    var losses: [any Loss] = []
    for pair in pairs {
      guard let states else { preconditionFailure("values are compared with a teacher that runs") }
      let target = { states[pair.teacher] }
      switch pair.kind {
      case .relations:
        losses.append(
          AttentionRelationLoss(
            pair.name,
            pair.student,
            heads: relationHeads(pair),
            isCausal: student.graph.lastAttention?.isCausal ?? true,
            weight: pass.relations,
            isPerSequence: isPerSequence,
            target: target
          )
        )
      case .states, .vectors:
        let value = try projected(pair, &builder, &projections)
        losses.append(
          StateLoss(
            pair.name,
            value,
            pair.kind == .vectors || pass.measure == .cosine ? .cosine : .meanSquare,
            weight: pair.kind == .vectors ? pass.teacher : pass.states,
            isPerSequence: isPerSequence,
            target: target
          )
        )
      }
    }
    return (builder.graph, student.source.overlaid(with: projections), losses)
  }

  /// The student's value in the teacher's width: through a matrix that learns where they differ
  /// (TinyBERT: Jiao et al., 2020).
  private func projected(
    _ pair: Compared,
    _ builder: inout GraphBuilder,
    _ projections: inout [TensorName: DerivedTensor]
  ) throws -> ValueID {
    guard let width = student.graph.type(of: pair.student).features,
      let wanted = teacher.graph.type(of: pair.teacher).features, width != wanted
    else { return pair.student }
    let name = TensorName("projection.\(pair.name).weight")
    let block = student.graph.node(of: pair.student).block
    let weight = try builder.add(
      .parameter(Parameter(name, type: ValueType(.f32, wanted, width))),
      path: "projection",
      block: block
    )
    var generator = SeededGenerator(seed: context.seed &+ UInt64(projections.count))
    let size = Float(1 / Double(width).squareRoot())
    let numbers = (0..<wanted * width).map { _ in Float.random(in: -size..<size, using: &generator)
    }
    projections[name] = DerivedTensor(Tensor(numbers, shape: [wanted, width]))
    return try builder.add(
      .linear(Linear()),
      [pair.student, weight],
      path: "projection",
      block: block
    )
  }

  /// As many parts as both widths can be cut into, of the student's own heads at most.
  private func relationHeads(_ pair: Compared) -> Int {
    let (own, other) = (
      student.graph.type(of: pair.student).features ?? 1,
      teacher.graph.type(of: pair.teacher).features ?? 1
    )
    let most = student.graph.lastAttention?.heads ?? 1
    return (1...most).last { own % $0 == 0 && other % $0 == 0 } ?? 1
  }
}

extension Distil.Comparison {
  fileprivate var divergence: Divergence {
    switch self {
    case .forward: .forward
    case .reverse: .reverse
    case .jensenShannon: .jensenShannon(teacherShare: 0.5)
    }
  }
}

extension Graph {
  /// The attention of the last layer, and what it reads, where it has queries, keys and values.
  fileprivate var lastAttention: (inputs: [ValueID], heads: Int, isCausal: Bool)? {
    for node in nodes.reversed() {
      guard case .attention(let attention) = node.op, node.block == layerCount - 1 else { continue }
      return (node.inputs, attention.heads, attention.isCausal)
    }
    return nil
  }
}
