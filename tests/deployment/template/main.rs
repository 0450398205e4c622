//! The template: its permissions are those of permissions.txt; its references never miss a resource; a changed parameter reaches the
//! receiver; the registration is called once; a burst of new keys is queued; alarms fire when they must; and the documents say what it
//! says.
#![allow(clippy::expect_used, reason = "what a template does not have, the test cannot judge")]

mod alarms;
mod conditions;
mod dashboard;
mod documents;
mod in_place;
mod new_keys;
mod nothing_published;
mod permissions;
mod reader;
mod registration;
mod release;
mod stream;

use std::collections::BTreeMap;

use permissions::Permissions;

const TEMPLATE: &str = include_str!("../../../template.yaml");
const LISTED: &str = include_str!("../permissions.txt");

/// The lines of permissions.txt, each with the resource under which it stands, and the reasons that are given.
fn read_list(list: &str) -> BTreeMap<(String, String), Option<&str>> {
    let mut resource = "";
    let mut listed = BTreeMap::new();
    for line in list.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
        let Some(line) = line.strip_prefix("  ") else {
            resource = line;
            continue;
        };
        let (permission, reason) = line.split_once(" # ").map_or((line, None), |(line, reason)| (line, Some(reason)));
        let before = listed.insert((resource.to_owned(), permission.to_owned()), reason);
        assert!(before.is_none(), "twice: {resource}: {permission}");
    }
    listed
}

/// Returns the faults in the permissions of a template, one a line; empty when they are those of the list.
fn judge(template: &str, list: &str) -> String {
    let Permissions { given, wide, mut faults } = Permissions::of(&reader::read(template));
    let listed = read_list(list);
    let line = |what: &str, (resource, permission): &(String, String)| format!("{resource}: {what}: {permission}");
    let unlisted = given.iter().filter(|permission| !listed.contains_key(permission));
    faults.extend(unlisted.map(|permission| line("given, but not listed", permission)));
    let not_given = listed.keys().filter(|permission| !given.contains(permission));
    faults.extend(not_given.map(|permission| line("listed, but not given", permission)));
    let without_reason = wide.iter().filter(|permission| !matches!(listed.get(permission), Some(Some(_))));
    faults.extend(without_reason.map(|permission| line("wide, and listed without a reason", permission)));
    faults.join("\n")
}

#[test]
fn the_template_gives_the_listed_permissions_and_no_others() {
    let faults = judge(TEMPLATE, LISTED);
    assert!(faults.is_empty(), "template.yaml and tests/deployment/permissions.txt differ:\n{faults}");
}

/// A small template with all that gives permissions.
const SAMPLE: &str = "
Resources:
  Table:
    Type: AWS::DynamoDB::Table
  Function:
    Type: AWS::Serverless::Function
    Properties:
      Role: !GetAtt Role.Arn
      Events:
        Schedule:
          Type: ScheduleV2
          Properties:
            RoleArn: !GetAtt Role.Arn
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Statement:
          - Effect: Allow
            Principal: { Service: lambda.amazonaws.com }
            Action: sts:AssumeRole
      Policies:
        - PolicyName: policy
          PolicyDocument:
            Statement:
              - Effect: Allow
                Action: [dynamodb:PutItem, dynamodb:UpdateItem]
                Resource: !GetAtt Table.Arn
                Condition:
                  ForAllValues:StringLike:
                    dynamodb:LeadingKeys: ['*#*']
";

const SAMPLE_LISTED: &str = "
Role
  lambda.amazonaws.com: sts:AssumeRole
  dynamodb:PutItem on Table.Arn if ForAllValues:StringLike dynamodb:LeadingKeys *#*
  dynamodb:UpdateItem on Table.Arn if ForAllValues:StringLike dynamodb:LeadingKeys *#*
";

#[test]
fn a_wide_permission_is_taken_with_a_reason_and_a_wide_action_never() {
    let template = |action: &str, on: &str| {
        let statement = format!("Statement: {{ Effect: Allow, Action: '{action}', Resource: '{on}' }}");
        format!(
            "Resources:\n  Role:\n    Type: AWS::IAM::Role\n    Properties:\n      Policies:\n        - {statement}\n"
        )
    };
    let listed = "Role\n  xray:PutTraceSegments on * # X-Ray has no resources\n";
    assert_eq!(judge(&template("xray:PutTraceSegments", "*"), listed), "");
    assert_ne!(judge(&template("xray:PutTraceSegments", "*"), "Role\n  xray:PutTraceSegments on *\n"), "");
    assert_ne!(judge(&template("xray:*", "a"), "Role\n  xray:* on a # a reason\n"), "");
}

#[test]
fn a_permission_too_many_or_too_wide_is_found_wherever_it_stands() {
    assert_eq!(judge(SAMPLE, SAMPLE_LISTED), "");
    for (before, after, fault) in [
        ("[dynamodb:PutItem, dynamodb:UpdateItem]", "dynamodb:*", "Role: an action with a wildcard: dynamodb:*"),
        (
            "dynamodb:UpdateItem]",
            "dynamodb:UpdateItem, dynamodb:DeleteItem]",
            "Role: given, but not listed: dynamodb:DeleteItem on Table.Arn if ",
        ),
        (", dynamodb:UpdateItem]", "]", "Role: listed, but not given: dynamodb:UpdateItem on Table.Arn if "),
        (
            "Resource: !GetAtt Table.Arn",
            "Resource: '*'",
            "wide, and listed without a reason: dynamodb:PutItem on * if ",
        ),
        (
            "!GetAtt Table.Arn",
            "!Sub '${Table.Arn}*'",
            "wide, and listed without a reason: dynamodb:PutItem on ${Table.Arn}* if ",
        ),
        ("Resource: !GetAtt Table.Arn", "Resource: !Select [0, [a]]", "cannot be read; use !Ref, !GetAtt or !Sub"),
        (
            "!GetAtt Table.Arn",
            "[!GetAtt Table.Arn, !GetAtt Other.Arn]",
            "not listed: dynamodb:PutItem on Other.Arn if ",
        ),
        (
            "['*#*']",
            "['*']",
            "not listed: dynamodb:PutItem on Table.Arn if ForAllValues:StringLike dynamodb:LeadingKeys *\n",
        ),
        (
            "              - Effect: Allow\n                Action: [",
            "              - !If\n                - IsTraced\n                - { Effect: Allow, Action: [xray:PutTraceSegments], Resource: x }\n                - !Ref AWS::NoValue\n              - Effect: Allow\n                Action: [",
            "Role: given, but not listed: xray:PutTraceSegments on x when IsTraced",
        ),
        (
            "                Condition:\n                  ForAllValues:StringLike:\n                    dynamodb:LeadingKeys: ['*#*']\n",
            "                Condition: !If [IsTraced, { StringEquals: { a: b } }, !Ref AWS::NoValue]\n",
            "Role: given, but not listed: dynamodb:PutItem on Table.Arn unless IsTraced",
        ),
        ("Action: [", "NotAction: [", "Role: NotAction in a statement"),
        ("{ Service: lambda.amazonaws.com }", "'*'", "Role: wide, and listed without a reason: *: sts:AssumeRole"),
        (
            "{ Service: lambda.amazonaws.com }",
            "{ Service: [lambda.amazonaws.com, ec2.amazonaws.com] }",
            "Role: given, but not listed: ec2.amazonaws.com: sts:AssumeRole",
        ),
        (
            "      Policies:\n",
            "      ManagedPolicyArns: [arn:aws:iam::aws:policy/AdministratorAccess]\n      Policies:\n",
            "Role: wide, and listed without a reason: managed policy arn:aws:iam::aws:policy/AdministratorAccess",
        ),
        (
            "      Role: !GetAtt Role.Arn\n",
            "      Policies: [AmazonDynamoDBFullAccess]\n",
            "Function: SAM makes a role",
        ),
        (
            "            RoleArn: !GetAtt Role.Arn\n",
            "            Input: x\n",
            "Function: SAM makes a role for the schedule",
        ),
        (
            "    Type: AWS::DynamoDB::Table\n",
            "    Type: AWS::Lambda::Permission\n    Properties:\n      Action: lambda:InvokeFunction\n      \
             FunctionName: !GetAtt Function.Arn\n      Principal: x\n      SourceArn: !GetAtt Rule.Arn\n",
            "Table: given, but not listed: x: lambda:InvokeFunction on Function.Arn if ArnLike aws:SourceArn Rule.Arn",
        ),
        (
            "    Type: AWS::DynamoDB::Table\n",
            "    Type: AWS::Lambda::Permission\n    Properties: { Action: a, FunctionName: f, Principal: x }\n",
            "Table: a permission to call a function for anybody's resources",
        ),
        (
            "    Type: AWS::DynamoDB::Table\n",
            "    Type: AWS::DynamoDB::Table\n    Properties:\n      ResourcePolicy:\n        PolicyDocument:\n          \
             Statement: { Effect: Allow, Principal: { AWS: x }, Action: y, Resource: z }\n",
            "Table: given, but not listed: x: y on z",
        ),
    ] {
        assert!(SAMPLE.contains(before), "{before}");
        let found = judge(&SAMPLE.replacen(before, after, 1), SAMPLE_LISTED);
        assert!(found.contains(fault), "{after}: {fault} is not among:\n{found}");
    }
}
