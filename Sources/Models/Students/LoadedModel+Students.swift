public import KaratArchitectures
public import KaratBytes
public import KaratGraphs
import KaratTensors

/// A student of a model, an ordinary model itself, and how it came about.
public struct Student: Sendable {
  /// The student; its tensors are taken from the teacher's when they are pulled.
  public var model: LoadedModel
  /// What it took, and by what that was chosen.
  public let report: StudentReport
}

extension LoadedModel {
  /// A student of this model that keeps some of its layers, heads, neurons, channels or experts.
  ///
  /// - Parameters:
  ///   - shape: what it keeps.
  ///   - importance: what was measured of this model's parts; where it is nil the first are kept.
  /// - Returns: the student; nothing is read or computed before its tensors are pulled, but for the experts
  ///   that are to be merged, whose neurons are compared.
  /// - Throws: `StudentError` where this model has less than the student is to keep, or a choice
  ///   needs what was not measured; `ConfigError` where the sizes do not fit together.
  public func student(
    _ shape: StudentShape,
    importance: Importance? = nil
  ) throws -> Student {
    let plan = try teacher().student(
      shape,
      importance: importance,
      matching: shape.mergesExperts ? matching : nil
    )
    return try student(plan, seed: 0)
  }

  /// A student that a config describes, of this model's family or its dense sibling.
  ///
  /// - Parameters:
  ///   - config: the object of the student's config.json.
  ///   - file: its name in messages.
  ///   - importance: what was measured of this model's parts; where it is nil the first are taken.
  ///   - isFresh: whether nothing is taken: all numbers are new, and the student may be of any family and
  ///     size that reads the same tokens.
  ///   - mergesExperts: whether experts that do not stay are merged into those that do.
  ///   - seed: draws the numbers that this model has nothing for.
  /// - Returns: the student; nothing is read or computed before its tensors are pulled.
  /// - Throws: `StudentError` where the student has more parameters than this model, or is of another
  ///   kind; `ConfigError` where the config cannot be run.
  public func student(
    like config: JSONObject,
    file: String,
    importance: Importance? = nil,
    isFresh: Bool = false,
    mergesExperts: Bool = false,
    seed: UInt64 = 0
  ) throws -> Student {
    let plan = try teacher().student(
      like: config,
      file: file,
      importance: importance,
      isFresh: isFresh,
      matching: mergesExperts ? matching : nil
    )
    return try student(plan, seed: seed)
  }

  private var matching: NeuronMatching {
    let matcher = NeuronMatcher(model.source)
    return { try matcher.order($0, $1) }
  }

  private func teacher() throws -> Teacher {
    let reader = Config(
      config,
      file: path,
      tensors: model.source.manifest,
      sentenceEmbedding: try companions.sentenceEmbedding()
    )
    return try Teacher(architecture, reader, graph: model.graph)
  }

  private func student(_ plan: StudentPlan, seed: UInt64) throws -> Student {
    let source = model.source
    let first = model.graph.parameters.first.flatMap { source.manifest[$0.name]?.dtype } ?? .f32
    let newType = [.f16, .bf16].contains(first) ? first : .f32
    var tensors: [TensorName: DerivedTensor] = [:]
    for (name, type) in plan.graph.parameters {
      let shape = type.shape(Binding(batch: 0, length: 0))
      switch plan.origins[name] {
      case .parts(let parts, let axis):
        tensors[name] = try GatheredTensor(parts, along: axis, of: source).derived
      case .random(let deviation):
        let info = TensorInfo(newType, shape)
        tensors[name] = NewTensor.normal(info, deviation: deviation, seed: seed, name: name)
      case .constant(let number):
        tensors[name] = NewTensor.constant(TensorInfo(newType, shape), number)
      case nil: throw CheckpointError.missing(name, in: "the student")
      }
    }
    let taken = MemorySource([:], metadata: source.manifest.metadata).overlaid(with: tensors)
    try plan.graph.check(
      against: taken.manifest,
      file: path,
      isSpare: plan.architecture.isSpare
    )
    var student = self
    student.model = Model(graph: plan.graph, source: taken)
    student.config = plan.config
    student.architecture = plan.architecture
    if isEncoder, let hidden = plan.config["hidden_size"]?.int, hidden != config["hidden_size"]?.int
    {
      try student.companions.setVectorLength(hidden)
    }
    student.byteCount = taken.manifest.totalBytes
    return Student(model: student, report: plan.report)
  }
}
