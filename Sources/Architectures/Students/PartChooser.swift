import KaratGraphs
import KaratTensors

/// Chooses which heads, neurons, channels and experts of a teacher a student's layers keep.
struct PartChooser {
  let teacher: Teacher
  let student: [BlockFacts]
  let importance: Importance?

  private(set) var changes: [String: StudentReport.Change] = [:]
  private var channels: [Int: [Int]] = [:]

  init(_ teacher: Teacher, student: [BlockFacts], importance: Importance?) {
    self.teacher = teacher
    self.student = student
    self.importance = importance
  }

  /// The places of the greatest scores, the first of equals, in rising order; the first places where
  /// there are no scores.
  static func best(_ count: Int, of total: Int, _ scores: [Double]?) -> [Int] {
    guard let scores else { return Array(0..<min(count, total)) }
    let order = (0..<total).sorted { (-scores[$0], $0) < (-scores[$1], $1) }
    return order.prefix(count).sorted()
  }

  /// Which of the channels of the residual stream are kept.
  mutating func channels(_ count: Int, of total: Int) -> [Int] {
    if let known = channels[count] { return known }
    let scores = importance?.channels.fitting(total)
    note("channels", total, count, scores, "mean magnitude behind norms")
    let chosen = Self.best(count, of: total, scores)
    channels[count] = chosen
    return chosen
  }

  /// Which of the neurons that a layer of the teacher reads are kept.
  mutating func neurons(_ count: Int, of total: Int, readBy reader: TensorName) -> [Int] {
    let scores = importance?.neurons[reader.text]?.fitting(total)
    let what = ParameterPlace(reader / "weight").expert == nil ? "neurons" : "neurons of an expert"
    note(what, total, count, scores, "mean magnitude")
    return Self.best(count, of: total, scores)
  }

  /// Which heads of a block are kept, of queries and of keys and values, or nil where the student's
  /// are not a part of the teacher's.
  mutating func heads(
    of layer: Int,
    from teacherLayer: Int,
    readBy readers: [TensorName]
  ) -> (queries: [Int], keysAndValues: [Int])? {
    let (all, kept) = (teacher.blocks[teacherLayer], student[layer])
    guard all.headSize == kept.headSize, all.keyValueHeads > 0, kept.keyValueHeads > 0,
      all.keyValueHeads >= kept.keyValueHeads
    else { return nil }
    let group = (all: all.heads / all.keyValueHeads, kept: kept.heads / kept.keyValueHeads)
    guard group.all >= group.kept else { return nil }
    let measured = importance?.heads ?? [:]
    let scores = readers.compactMap { measured[$0.text]?.fitting(all.heads) }.first
    if kept.heads < all.heads { note("heads", all.heads, kept.heads, scores, "mean length") }
    let sums = scores.map { scores in
      (0..<all.keyValueHeads).map { place in
        scores[place * group.all..<(place + 1) * group.all].reduce(0, +)
      }
    }
    let groups = Self.best(kept.keyValueHeads, of: all.keyValueHeads, sums)
    let queries = groups.flatMap { place in
      let own = scores.map { Array($0[place * group.all..<(place + 1) * group.all]) }
      return Self.best(group.kept, of: group.all, own).map { $0 + place * group.all }
    }
    return (queries, groups)
  }

  /// Which experts of a block are kept, or nil where the student has more.
  mutating func experts(of layer: Int, from teacherLayer: Int) -> [Int]? {
    let (all, kept) = (teacher.blocks[teacherLayer], student[layer])
    guard kept.experts <= all.experts else { return nil }
    let scores = all.router.flatMap { importance?.experts[$0.text]?.scores.fitting(all.experts) }
    if kept.experts < all.experts {
      note("experts", all.experts, kept.experts, scores, "routed weight times output's length")
    }
    let groups = kept.route?.grouping?.count ?? 1
    guard groups == all.route?.grouping?.count ?? 1 else {
      return Self.best(kept.experts, of: all.experts, scores)
    }
    let (size, rest) = (all.experts / groups, kept.experts / groups)
    return (0..<groups).flatMap { group in
      let own = scores.map { Array($0[group * size..<(group + 1) * size]) }
      return Self.best(rest, of: size, own).map { $0 + group * size }
    }
  }

  /// What is known of a block's routing.
  ///
  /// - Throws: `StudentError` where it was not measured.
  func routing(of layer: Int, neededFor what: String) throws(StudentError) -> Importance.Experts {
    let facts = teacher.blocks[layer]
    guard let router = facts.router,
      let measured = importance?.experts[router.text], measured.tokens > 0,
      measured.counts.count == facts.experts
    else {
      throw StudentError(
        "\(teacher.config.file): how layer \(layer) routes tokens to its experts was not measured, "
          + "which \(what). Give a text to measure it on."
      )
    }
    return measured
  }

  /// Experts that stay, each alone, or with those that are merged into it where neurons can be matched.
  func groups(
    _ leaders: [Int],
    of layer: Int,
    _ measured: Importance.Experts,
    isRoutedInParts: Bool,
    matching: NeuronMatching?
  ) throws -> [ExpertGroups.Group] {
    let facts = teacher.blocks[layer]
    guard let matching, leaders.count < facts.experts else {
      return ExpertGroups(alone: leaders, measured).groups
    }
    guard measured.likenesses.count == facts.experts * facts.experts else {
      throw StudentError(
        "\(teacher.config.file): how alike the experts of layer \(layer) are routed was not measured, "
          + "which merging them needs. Give a text to measure it on."
      )
    }
    let tensors = facts.expertTensors
    return try ExpertGroups(
      around: leaders,
      measured,
      parts: isRoutedInParts ? facts.route?.grouping?.count ?? 1 : 1,
      { expert in
        guard let tensors = tensors(expert) else {
          preconditionFailure("a block with a router has experts")
        }
        return tensors
      },
      matching: matching
    ).groups
  }

  mutating func note(
    _ what: String,
    _ total: Int,
    _ count: Int,
    _ scores: [Double]?,
    _ criterion: String
  ) {
    guard count < total else { return }
    changes["\(what) \(total) \(count)"] = StudentReport.Change(
      what: what,
      teacher: total,
      student: count,
      criterion: scores == nil ? "place: the first" : criterion
    )
  }
}

extension [Double] {
  /// The scores where they are of as many things, else nil: they are another model's.
  fileprivate func fitting(_ count: Int) -> [Double]? { self.count == count ? self : nil }
}
