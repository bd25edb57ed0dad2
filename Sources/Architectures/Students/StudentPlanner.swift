import KaratBytes
import KaratGraphs
import KaratTensors

/// Finds where every tensor of a student comes from.
struct StudentPlanner {
  private let teacher: Teacher
  private let architecture: Architecture
  private let config: Config
  private let graph: Graph
  private let blocks: [BlockFacts]
  /// For each of the student's blocks, which of the teacher's it comes from.
  private let sources: [Int]
  private let layers: [Int]
  private let shapes: [TensorName: Shape]
  /// Whether nothing is taken from the teacher.
  private let isFresh: Bool
  private var chooser: PartChooser
  private var experts: [Int: [Int]?] = [:]
  /// Where experts are merged into those that stay, finds which neurons are alike.
  private let matching: NeuronMatching?
  private var groups: [Int: [ExpertGroups.Group]] = [:]
  private var merges: [Int: DenseMerge] = [:]
  private var merged: [Int: [Int]] = [:]

  /// Traces the student.
  ///
  /// - Throws: `ConfigError` where the config cannot be run.
  init(
    _ teacher: Teacher,
    config object: JSONObject,
    file: String,
    layers: [Int],
    importance: Importance?,
    isFresh: Bool = false,
    matching: NeuronMatching? = nil
  ) throws(ConfigError) {
    self.teacher = teacher
    self.matching = matching
    self.isFresh = isFresh
    self.layers = layers
    sources = layers + (0..<teacher.predictionLayers).map { $0 + teacher.layers }
    architecture = try Architecture.named(by: object, file: file)
    shapes = Dictionary(
      uniqueKeysWithValues: teacher.graph.parameters.map {
        ($0.name, $0.type.shape(Binding(batch: 0, length: 0)))
      }
    )
    // Families that leave some tensors out look which are there.
    var names = Manifest()
    for name in isFresh ? [] : shapes.keys.sorted() {
      var place = ParameterPlace(name)
      if let layer = place.layer {
        guard layer >= teacher.layers else { continue }
        place.layer = layer - teacher.layers + layers.count
      }
      names.set(place.name, TensorInfo(.f32, []))
    }
    config = Config(
      object,
      file: file,
      tensors: names,
      sentenceEmbedding: teacher.config.sentenceEmbedding
    )
    graph = try architecture.trace(config)
    blocks = BlockFacts.all(of: graph)
    chooser = PartChooser(teacher, student: blocks, importance: importance)
  }

  /// Finds the origins.
  ///
  /// - Throws: `StudentError` where the student has more parameters than the teacher, or a tensor
  ///   cannot be had; what matching neurons throws.
  consuming func plan(layerCriterion: String, notices: [String]) throws -> StudentPlan {
    let parameters = graph.parameters.map {
      (name: $0.name, shape: $0.type.shape(Binding(batch: 0, length: 0)))
    }
    let counts = (
      teacher: shapes.values.reduce(0) { $0 + $1.elementCount },
      student: parameters.reduce(0) { $0 + $1.shape.elementCount }
    )
    guard isFresh || counts.student <= counts.teacher else {
      throw StudentError(
        "\(config.file): the student has \(counts.student) parameters, more than the teacher "
          + "(\(teacher.config.file)), which has \(counts.teacher). Choose a smaller student."
      )
    }
    var origins: [TensorName: TensorOrigin] = [:]
    var new: [String] = []
    for (name, shape) in parameters {
      if !isFresh, let origin = try origin(of: name, shape) {
        origins[name] = origin
      } else {
        new.append(name.text)
        origins[name] = beginning(of: name)
      }
    }
    var report = StudentReport(
      teacher: teacher.architecture.names[0],
      student: architecture.names[0],
      teacherParameters: counts.teacher,
      studentParameters: counts.student,
      teacherLayers: teacher.layers,
      layers: layers,
      layerCriterion: layerCriterion
    )
    report.changes = chooser.changes.sorted { $0.key < $1.key }.map(\.value)
    for (layer, kept) in experts {
      if let kept, kept.count < teacher.blocks[sources[layer]].experts {
        report.experts[layer] = kept
      }
    }
    report.experts.merge(merged) { $1 }
    for (layer, groups) in groups {
      report.merged[layer] = groups.map { $0.members.map(\.expert) }
    }
    report.new = new
    report.notices = notices
    return StudentPlan(
      architecture: architecture,
      config: config.object,
      graph: graph,
      origins: origins,
      report: report
    )
  }

  /// Where a tensor comes from, or nil where the teacher has nothing like it.
  private mutating func origin(
    of name: TensorName,
    _ shape: Shape
  ) throws -> TensorOrigin? {
    let own = ParameterPlace(name)
    guard let axes = own.axes, axes.count == shape.rank else {
      throw StudentError(
        "\(config.file): what the extents of \(name.quoted) are is not known, so no student can be "
          + "made of this family."
      )
    }
    var place = own
    if let layer = own.layer {
      guard sources.indices.contains(layer) else { return nil }
      place.layer = sources[layer]
      if let expert = own.expert {
        guard let kept = expertPlaces(of: layer), kept.indices.contains(expert) else { return nil }
        place.expert = kept[expert]
      }
      if let merged = try mergedOrigin(own, layer, shape) { return merged }
    }
    var source = place.name
    // A head of its own begins as the embedding that was the teacher's head.
    if source == "lm_head.weight", shapes[source] == nil { source = "model.embed_tokens.weight" }
    guard let whole = shapes[source], whole.rank == shape.rank else { return nil }
    var places: [[Int]?] = []
    for (axis, kind) in axes.enumerated() {
      guard
        let choice = try choice(kind, whole[axis], shape[axis], own, place)
      else { return nil }
      places.append(choice.places)
    }
    return .parts(
      [
        try terms(
          TensorPart(source, places: places),
          own,
          place,
          neurons: axes.firstIndex(of: .neurons)
        )
      ],
      along: 0
    )
  }

  /// A part of an expert with those of the experts that are merged into it, or the part alone.
  private mutating func terms(
    _ part: TensorPart,
    _ own: ParameterPlace,
    _ place: ParameterPlace,
    neurons axis: Int?
  ) throws -> [TensorPart] {
    guard let layer = own.layer, let leader = place.expert, let axis,
      let group = try mergedExperts(of: layer).first(where: { $0.leader == leader })
    else { return [part] }
    return group.members.map { member in
      var (place, places) = (place, part.places)
      place.expert = member.expert
      places[axis] = member.neurons(places[axis])
      return TensorPart(place.name, places: places, factor: member.share)
    }
  }

  /// The experts of a sparse layer in groups, or none where each that stays is one of the teacher's.
  private mutating func mergedExperts(of layer: Int) throws -> [ExpertGroups.Group] {
    guard let matching, let leaders = expertPlaces(of: layer),
      leaders.count < teacher.blocks[sources[layer]].experts
    else { return [] }
    if let known = groups[layer] { return known }
    let teacherLayer = sources[layer]
    let found = try chooser.groups(
      leaders,
      of: teacherLayer,
      try chooser.routing(of: teacherLayer, neededFor: "merging them needs"),
      isRoutedInParts: blocks[layer].route?.grouping?.count
        == teacher.blocks[teacherLayer].route?.grouping?.count,
      matching: matching
    )
    groups[layer] = found
    return found
  }

  private struct Choice {
    /// The places that are taken, or nil for all.
    var places: [Int]?
  }

  /// Which places along an extent are taken, or nil where the student has more.
  private mutating func choice(
    _ axis: ParameterAxis,
    _ whole: Int,
    _ count: Int,
    _ own: ParameterPlace,
    _ source: ParameterPlace
  ) throws -> Choice? {
    switch axis {
    case .whole:
      guard count <= whole else {
        if source.layer != nil { return nil }
        throw StudentError(
          "\(config.file): \(own.name.quoted) is to have \(count) rows; the teacher's has \(whole). "
            + "Give the student the teacher's sizes of vocabulary and positions."
        )
      }
      return Choice(places: count < whole ? Array(0..<count) : nil)
    case .hidden:
      guard count < whole else { return count == whole ? Choice() : nil }
      return Choice(places: chooser.channels(count, of: whole))
    case .hiddenTwice:
      guard count < whole else { return count == whole ? Choice() : nil }
      let half = chooser.channels(count / 2, of: whole / 2)
      return Choice(places: half + half.map { $0 + whole / 2 })
    case .neurons:
      guard count < whole else { return count == whole ? Choice() : nil }
      let chosen = chooser.neurons(count, of: whole, readBy: source.neuronReader)
      return Choice(places: chosen)
    case .experts:
      guard let layer = own.layer, let kept = expertPlaces(of: layer), kept.count == count else {
        return nil
      }
      return Choice(places: count < whole ? kept : nil)
    case .queryHeads, .keyValueHeads:
      guard let layer = own.layer, let sourceLayer = source.layer else { return nil }
      let heads = chooser.heads(of: layer, from: sourceLayer, readBy: source.headReaders)
      guard let heads else { return nil }
      let facts = (all: teacher.blocks[sourceLayer], kept: blocks[layer])
      let kept = axis == .queryHeads ? heads.queries : heads.keysAndValues
      let total = axis == .queryHeads ? facts.all.heads : facts.all.keyValueHeads
      let size = whole / total
      guard whole % total == 0, kept.count * size == count else { return nil }
      if count == whole { return Choice() }
      return Choice(places: kept.flatMap { $0 * size..<($0 + 1) * size })
    }
  }

  private mutating func expertPlaces(of layer: Int) -> [Int]? {
    if let known = experts[layer] { return known }
    let kept = chooser.experts(of: layer, from: sources[layer])
    experts[layer] = .some(kept)
    return kept
  }

  /// Where a tensor of a dense layer comes from that takes the place of experts, or nil where it does
  /// not.
  private mutating func mergedOrigin(
    _ own: ParameterPlace,
    _ layer: Int,
    _ shape: Shape
  ) throws -> TensorOrigin? {
    let prefix = "mlp."
    guard blocks[layer].route == nil, teacher.blocks[sources[layer]].route != nil,
      own.expert == nil, own.module.hasPrefix(prefix), own.module.hasSuffix(".weight")
    else { return nil }
    let module = String(own.module.dropFirst(prefix.count).dropLast(".weight".count))
    let rows = module == "down_proj" ? 1 : 0
    let merge: DenseMerge
    if let known = merges[layer] {
      merge = known
    } else {
      merge = try DenseMerge(
        sources[layer],
        size: shape[rows],
        sizes: shapes,
        &chooser,
        matching: matching
      )
      merges[layer] = merge
      merged[layer] = merge.parts.compactMap(\.expert)
      groups[layer] = matching == nil ? nil : merge.groups
    }
    let width = teacher.width
    let count = shape[1 - rows]
    let channels = count < width ? chooser.channels(count, of: width) : nil
    return merge.origin(of: module, channels: channels)
  }

  /// What a tensor begins with that the teacher has nothing for.
  private func beginning(of name: TensorName) -> TensorOrigin {
    let text = name.text.lowercased()
    guard !text.hasSuffix("bias") else { return .constant(0) }
    guard !text.contains("norm") else { return .constant(1) }
    let deviation = config.object["initializer_range"]?.double ?? 0.02
    return .random(deviation: Float(deviation))
  }
}
