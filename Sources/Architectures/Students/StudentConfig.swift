import KaratBytes
import KaratGraphs

/// The config of a student in the making: its teacher's, with other sizes.
struct StudentConfig {
  let teacher: Teacher
  /// The content of config.json.
  private(set) var object: JSONObject
  /// What the user should know.
  private(set) var notices: [String] = []

  /// Begins with the teacher's own, its numbers no codes.
  init(of teacher: Teacher) {
    self.teacher = teacher
    object = teacher.config.object
    object["quantization_config"] = nil
  }

  /// Gives the student a shape.
  ///
  /// - Parameters:
  ///   - shape: its sizes; its layers are `kept`.
  ///   - kept: which of the teacher's layers it keeps, rising.
  /// - Throws: `StudentError` where the teacher has less, or no config can say it.
  mutating func apply(_ shape: StudentShape, keeping kept: [Int]) throws(StudentError) {
    if kept != Array(0..<teacher.layers) { try keep(kept) }
    if let hidden = shape.hidden {
      try check(hidden, "channels", of: teacher.width)
      set("hidden_size", hidden)
    }
    if let heads = shape.heads { try keepHeads(heads) }
    if shape.hidden != nil || shape.heads != nil { try sayHeadSize() }
    if let size = shape.feedForward { try setFeedForward(size) }
    if let size = shape.expertFeedForward { try setExpertFeedForward(size) }
    if let experts = shape.experts { try keepExperts(experts) }
    if let dense = shape.dense { try makeDense(dense, layers: kept.count) }
  }

  mutating func set(_ key: String, _ number: Int) { object[key] = .number(JSONNumber(number)) }

  mutating func set(_ key: String, _ value: JSONValue?) { object[key] = value }

  mutating func remove(_ keys: String...) {
    for key in keys { object[key] = nil }
  }

  mutating func note(_ notice: String) { notices.append(notice) }

  /// Refuses a size that the teacher does not have.
  func check(_ count: Int, _ what: String, of most: Int) throws(StudentError) {
    guard (1...max(most, 1)).contains(count), most > 0 else {
      throw StudentError(
        "\(teacher.config.file): a student of \(count) \(what) was asked for; the teacher has "
          + "\(most). Ask for 1 to \(most)."
      )
    }
  }

  func fault(_ message: String) -> StudentError {
    StudentError("\(teacher.config.file): \(message)")
  }

  // MARK: Depth

  private mutating func keep(_ kept: [Int]) throws(StudentError) {
    set("num_hidden_layers", kept.count)
    if let types = object["layer_types"]?.array, types.count == teacher.layers {
      object["layer_types"] = .array(kept.map { types[$0] })
    }
    if object["use_sliding_window"]?.bool == true || object["max_window_layers"]?.double != nil {
      let first = object["max_window_layers"]?.double ?? 28
      set("max_window_layers", kept.count { Double($0) < first })
    }
    let blocks = kept + (0..<teacher.predictionLayers).map { $0 + teacher.layers }
    let isSparse = blocks.map { teacher.blocks[$0].route != nil }
    switch teacher.architecture.modelType {
    case "qwen3_moe":
      set("decoder_sparse_step", 1)
      let dense = isSparse.indices.filter { !isSparse[$0] }
      object["mlp_only_layers"] = .array(dense.map { .number(JSONNumber($0)) })
    case "deepseek_v2", "deepseek_v3": try saySparse(isSparse, kept)
    default: break
    }
  }

  /// Says which layers have experts: from a first one on, every so many.
  private mutating func saySparse(_ isSparse: [Bool], _ kept: [Int]) throws(StudentError) {
    for step in 1...max(isSparse.count, 1) {
      for first in 0...isSparse.count
      where isSparse.indices.allSatisfy({ isSparse[$0] == ($0 >= first && $0 % step == 0) }) {
        set("first_k_dense_replace", first)
        if step != object["moe_layer_freq"]?.int ?? 1 { set("moe_layer_freq", step) }
        return
      }
    }
    let dense = isSparse.indices.filter { !isSparse[$0] }
    throw fault(
      "of the kept layers \(kept), those at \(dense) are dense, which 'first_k_dense_replace' and "
        + "'moe_layer_freq' cannot say. Keep dense layers at the beginning."
    )
  }

  // MARK: Width

  private mutating func keepHeads(_ heads: Int) throws(StudentError) {
    let facts = teacher.blocks.first ?? BlockFacts()
    try check(heads, "heads", of: facts.heads)
    let group = facts.heads / max(facts.keyValueHeads, 1)
    guard heads % group == 0 else {
      throw fault(
        "a student of \(heads) heads was asked for; \(group) share keys and values, and stay or go "
          + "together. Ask for a multiple of \(group)."
      )
    }
    set("num_attention_heads", heads)
    if !teacher.graph.isEncoder, !facts.isLatent || object["num_key_value_heads"]?.int != nil {
      set("num_key_value_heads", heads / group)
    }
  }

  /// Heads keep their size, which configs mostly leave to be an even share of the channels.
  private mutating func sayHeadSize() throws(StudentError) {
    let facts = teacher.blocks.first ?? BlockFacts()
    let hidden = object["hidden_size"]?.int ?? teacher.width
    let heads = object["num_attention_heads"]?.int ?? facts.heads
    if teacher.graph.isEncoder {
      guard hidden == heads * facts.headSize else {
        throw fault(
          "a student of \(hidden) channels and \(heads) heads was asked for; this family's heads "
            + "share the channels evenly, and keep their \(facts.headSize) elements. Ask for "
            + "\(heads * facts.headSize) channels with \(heads) heads."
        )
      }
    } else if !facts.isLatent {
      set("head_dim", facts.headSize)
    }
  }

  private mutating func setFeedForward(_ size: Int) throws(StudentError) {
    guard teacher.blocks.contains(where: { $0.route == nil }) else {
      throw fault(
        "a student with dense layers of \(size) neurons was asked for; the teacher has experts in "
          + "all of them. Say how many neurons an expert keeps: expert-feed-forward."
      )
    }
    try check(size, "neurons", of: teacher.feedForward)
    set("intermediate_size", size)
  }

  private mutating func setExpertFeedForward(_ size: Int) throws(StudentError) {
    let key =
      teacher.architecture.modelType == "mixtral" ? "intermediate_size" : "moe_intermediate_size"
    guard teacher.blocks.contains(where: { $0.route != nil }) else {
      throw fault(
        "a student with experts of \(size) neurons was asked for; the teacher has no experts. Say "
          + "how many neurons its layers keep."
      )
    }
    try check(size, "neurons of an expert", of: object[key]?.int ?? 0)
    set(key, size)
  }
}

extension Teacher {
  /// The channels of the residual stream.
  var width: Int {
    graph.state(behindLayer: 0).flatMap { graph.type(of: $0).features } ?? 0
  }

  /// The neurons of a dense feed-forward layer, as the config says or leaves unsaid.
  var feedForward: Int { config.object["intermediate_size"]?.int ?? (graph.isEncoder ? 3072 : 0) }
}
