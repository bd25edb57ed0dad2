public import KaratBytes

/// How a student came about: what it took from its teacher, by what it was chosen, and what is new.
public struct StudentReport: Sendable, Hashable, Codable {
  /// A size that the student has less of.
  public struct Change: Sendable, Hashable, Codable {
    /// What there is less of, such as `channels`.
    public let what: String
    /// How many the teacher has, and the student.
    public let teacher, student: Int
    /// By what those that stay were chosen.
    public let criterion: String
  }

  /// The names that `architectures` gives teacher and student.
  public var teacher: String, student: String
  /// How many numbers their tensors hold.
  public var teacherParameters: Int, studentParameters: Int
  /// How many layers the teacher has.
  public var teacherLayers: Int
  /// For each of the student's layers, which of the teacher's it comes from.
  public var layers: [Int]
  /// By what these were chosen.
  public var layerCriterion: String
  /// What else there is less of.
  public var changes: [Change] = []
  /// For each of the student's sparse layers, and those that were sparse, which of the teacher's
  /// experts it holds, by the layer's number.
  public var experts: [Int: [Int]] = [:]
  /// For each layer whose experts were merged, the experts in each group, the one that leads it first.
  public var merged: [Int: [[Int]]] = [:]
  /// The tensors that come from nowhere and begin with random numbers, or with ones and zeros.
  public var new: [String] = []
  /// What else the user should know.
  public var notices: [String] = []

  /// The report as a document.
  public var json: JSONValue {
    func list(_ numbers: [Int]) -> JSONValue { .array(numbers.map { .number(JSONNumber($0)) }) }
    var object = JSONObject()
    object["teacher"] = .string(teacher)
    object["student"] = .string(student)
    object["parameters"] = .object([
      "teacher": .number(JSONNumber(teacherParameters)),
      "student": .number(JSONNumber(studentParameters)),
    ])
    object["layers"] = .object([
      "teacher": .number(JSONNumber(teacherLayers)), "kept": list(layers),
      "chosen_by": .string(layerCriterion),
    ])
    object["changes"] = .array(
      changes.map { change in
        .object([
          "what": .string(change.what), "teacher": .number(JSONNumber(change.teacher)),
          "student": .number(JSONNumber(change.student)), "chosen_by": .string(change.criterion),
        ])
      }
    )
    var kept = JSONObject()
    for (layer, experts) in experts.sorted(by: { $0.key < $1.key }) {
      kept["\(layer)"] = list(experts)
    }
    object["experts"] = .object(kept)
    var groups = JSONObject()
    for (layer, experts) in merged.sorted(by: { $0.key < $1.key }) {
      groups["\(layer)"] = .array(experts.map(list))
    }
    if !merged.isEmpty { object["merged"] = .object(groups) }
    object["new"] = .array(new.map(JSONValue.string))
    object["notices"] = .array(notices.map(JSONValue.string))
    return .object(object)
  }

  /// The report in lines for reading.
  public var lines: [String] {
    let share = 100 * Double(studentParameters) / Double(max(teacherParameters, 1))
    let rounded = (share * 10).rounded() / 10
    var lines = [
      "\(student), \(studentParameters) parameters: \(rounded)% of the teacher's "
        + "\(teacherParameters) (\(teacher))"
    ]
    if layers != Array(0..<teacherLayers) {
      let places = layers.map(String.init).joined(separator: ", ")
      lines.append(
        "layers: \(layers.count) of \(teacherLayers), by \(layerCriterion): \(places)"
      )
    }
    for change in changes {
      lines.append(
        "\(change.what): \(change.student) of \(change.teacher), by \(change.criterion)"
      )
    }
    for (layer, experts) in experts.sorted(by: { $0.key < $1.key }) {
      let groups = merged[layer] ?? experts.map { [$0] }
      let places = groups.map { $0.map(String.init).joined(separator: "+") }.joined(separator: ", ")
      lines.append("experts of layer \(layer): \(places)")
    }
    if !new.isEmpty {
      lines.append(
        "new, without the teacher: \(new.count) \(new.count == 1 ? "tensor" : "tensors"), "
          + new.prefix(3).joined(separator: ", ") + (new.count > 3 ? ", …" : "")
      )
    }
    return lines + notices
  }
}
