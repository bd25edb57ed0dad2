package import KaratBytes
package import KaratGraphs
package import KaratTensors

/// A student that is described and not computed yet: its config, its graph, and where each of its
/// tensors comes from.
package struct StudentPlan {
  /// Its family.
  package let architecture: Architecture
  /// The content of its config.json.
  package let config: JSONObject
  /// What it computes.
  package let graph: Graph
  /// Where each tensor that the graph reads comes from.
  package let origins: [TensorName: TensorOrigin]
  /// What was chosen, and by what.
  package let report: StudentReport
}

extension Teacher {
  /// A student of a shape.
  ///
  /// - Parameters:
  ///   - shape: what it keeps.
  ///   - importance: what was measured of the teacher's parts; where it is nil the first are kept.
  ///   - matching: where experts that do not stay are merged into those that do, finds which neurons are
  ///     alike.
  /// - Returns: the student, described.
  /// - Throws: `StudentError` where the teacher has less than the student is to keep, or a choice
  ///   needs what was not measured; `ConfigError` where the sizes do not fit together.
  package func student(
    _ shape: StudentShape,
    importance: Importance? = nil,
    matching: NeuronMatching? = nil
  ) throws -> StudentPlan {
    let (kept, criterion) = try layers(of: shape, importance)
    var config = StudentConfig(of: self)
    try config.apply(shape, keeping: kept)
    let planner = try StudentPlanner(
      self,
      config: config.object,
      file: self.config.file,
      layers: kept,
      importance: importance,
      matching: matching
    )
    return try planner.plan(layerCriterion: criterion, notices: config.notices)
  }

  /// A student that a config describes, of the teacher's family or its dense sibling.
  ///
  /// Its layers come from layers spread evenly over the teacher's. Tensors of equal shape are taken
  /// as they are, of larger ones the parts that matter most; what the teacher lacks is new. Of a fresh
  /// student everything is, and it may be of any family and size that reads the same tokens.
  ///
  /// - Parameters:
  ///   - config: the object of the student's config.json.
  ///   - file: its name in messages.
  ///   - importance: what was measured of the teacher's parts; where it is nil the first are taken.
  ///   - isFresh: whether nothing is taken.
  ///   - matching: as for a shape.
  /// - Returns: the student, described.
  /// - Throws: `StudentError` where the student has more parameters than the teacher, or is of
  ///   another kind; `ConfigError` where the config cannot be run.
  package func student(
    like config: JSONObject,
    file: String,
    importance: Importance? = nil,
    isFresh: Bool = false,
    matching: NeuronMatching? = nil
  ) throws -> StudentPlan {
    let student = try Architecture.named(by: config, file: file)
    let count = try Config(config, file: file).layers(default: graph.isEncoder ? 12 : nil)
    if isFresh { return try freshStudent(config, file: file, layers: count) }
    let siblings = ["mixtral": "mistral", "qwen3_moe": "qwen3"]
    let types = [architecture.modelType, siblings[architecture.modelType]]
    guard types.contains(student.modelType) else {
      throw StudentError(
        "\(file): the student is a \(student.names[0]), and the teacher a \(architecture.names[0]), "
          + "whose tensors are other ones. Give a config of the teacher's family."
      )
    }
    let planner = try StudentPlanner(
      self,
      config: config,
      file: file,
      layers: StudentShape.spread(count, over: layers),
      importance: importance,
      matching: matching
    )
    return try planner.plan(layerCriterion: "even spread", notices: [])
  }

  private func freshStudent(
    _ config: JSONObject,
    file: String,
    layers count: Int
  ) throws -> StudentPlan {
    let planner = try StudentPlanner(
      self,
      config: config,
      file: file,
      layers: count <= layers ? StudentShape.spread(count, over: layers) : [],
      importance: nil,
      isFresh: true
    )
    let plan = try planner.plan(layerCriterion: "place alone: nothing is taken", notices: [])
    guard plan.graph.isEncoder == graph.isEncoder else {
      throw StudentError(
        "\(file): one of teacher and student is an encoder, the other a decoder. Give a config of the "
          + "teacher's kind."
      )
    }
    let known = self.config.object["vocab_size"]?.int ?? 0
    guard let own = config["vocab_size"]?.int, own >= known else {
      throw StudentError(
        "\(file): 'vocab_size' is to be \(known) or more, as many tokens as the teacher reads."
      )
    }
    return plan
  }

  private func layers(
    of shape: StudentShape,
    _ importance: Importance?
  ) throws(StudentError) -> (kept: [Int], criterion: String) {
    func check(_ count: Int) throws(StudentError) {
      guard (1...layers).contains(count) else {
        throw StudentError(
          "\(config.file): a student of \(count) layers was asked for; the teacher has \(layers). "
            + "Ask for 1 to \(layers)."
        )
      }
    }
    switch shape.layers {
    case .all: return (Array(0..<layers), "all")
    case .uniform(let count):
      try check(count)
      return (StudentShape.spread(count, over: layers), "even spread")
    case .listed(let list):
      try check(list.count)
      guard zip(list, list.dropFirst()).allSatisfy(<),
        list.allSatisfy({ (0..<layers).contains($0) })
      else {
        throw StudentError(
          "\(config.file): layers \(list) are to be kept; rising numbers from 0 to \(layers - 1) "
            + "are needed."
        )
      }
      return (list, "list")
    case .important(let count):
      try check(count)
      guard let costs = importance?.layers, costs.count == layers else {
        throw StudentError(
          "\(config.file): what leaving layers out costs was not measured, so the \(count) that "
            + "matter most are not known. Give a text to measure it on, or say which layers to keep."
        )
      }
      return (PartChooser.best(count, of: layers, costs), "what leaving each out costs")
    }
  }
}

extension Config {
  /// How many layers a model has.
  fileprivate func layers(default other: Int?) throws(ConfigError) -> Int {
    if let other, !isPresent("num_hidden_layers") { return other }
    return try size("num_hidden_layers", atMost: Config.mostLayers)
  }
}
